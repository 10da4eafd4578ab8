package fsck

// Mending a cold segment: in place if its parity allows it, else by rewriting it.

import (
	"fmt"
	"syscall"

	"github.com/darner/darner/wal/inspect"
)

// rebuild writes back in place what parity can rebuild. If it is interrupted, some of that is
// written.
func (r *repair) rebuild(s *segmentFile) error {
	report, err := r.e.in.Scrub(s.file, true)
	if err == nil && report.Lost > 0 {
		err = fmt.Errorf("%s of it cannot be rebuilt any more", count(report.Lost, "part"))
	}
	return err
}

// writeAnew replaces a cold segment by one with everything that can be read. It copies what is lost
// to the quarantine.
func (r *repair) writeAnew(s *segmentFile) error {
	v, err := r.e.open(s.file)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := r.keepLost(s); err != nil {
		return err
	}
	return r.replace(v.Path(), func(fresh string) error {
		if err := v.CopyReadable(fresh); err != nil {
			return err
		}
		return r.complete(fresh, s)
	})
}

// keepLost copies the ranges with lost items to the quarantine, or the whole file if it is not
// known where they were.
func (r *repair) keepLost(s *segmentFile) error {
	const why = "is damaged beyond the parity"
	for _, p := range s.cold.lost {
		if p.to == 0 {
			return r.keep(s.file.Name, 0, s.file.Size, why+", and where is not known")
		}
	}
	for _, p := range s.cold.lost {
		if to := min(p.to, s.file.Size); to > p.from { // the file may have been cut before
			if err := r.keep(s.file.Name, p.from, to, why); err != nil {
				return err
			}
		}
	}
	return nil
}

// complete checks that the new file holds all records that could be read. A read error meanwhile
// would look like damage.
func (r *repair) complete(fresh string, s *segmentFile) error {
	v, err := r.e.in.OpenSegment(inspect.FileInfo{Name: s.file.Name + inspect.MendSuffix})
	if err != nil {
		return err
	}
	defer v.Close()
	if n := v.Totals().Items; n != uint64(s.cold.records) {
		return fmt.Errorf("%s holds %d records of %d: %w", fresh, n, s.cold.records, syscall.EIO)
	}
	return nil
}
