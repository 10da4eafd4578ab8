package fsck

// Mending a cold segment: in place as far as its parity reaches, else by writing it anew.

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/darner/darner/wal/inspect"
)

// rebuild writes back what is damaged of a cold segment and can be rebuilt. Killed, it has written
// some of it.
func (r *repair) rebuild(s *segmentFile) error {
	report, err := r.e.in.Scrub(s.file, true)
	if err == nil && report.Lost > 0 {
		err = fmt.Errorf("%d parts of it cannot be rebuilt any more", report.Lost)
	}
	return err
}

// writeAnew replaces a cold segment by one of what can be read. What is lost is kept in the quarantine.
func (r *repair) writeAnew(s *segmentFile) error {
	v, err := r.e.open(s.file)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := r.keepLost(s); err != nil {
		return err
	}
	fresh := v.Path() + inspect.MendSuffix
	if err := r.o.FS.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := v.CopyReadable(fresh); err != nil {
		return err
	}
	if err := r.complete(fresh, s); err != nil {
		r.o.FS.Remove(fresh)
		return err
	}
	if err := r.o.FS.Rename(fresh, v.Path()); err != nil {
		return err
	}
	return r.o.FS.SyncDir(r.q.Path)
}

// keepLost copies into the quarantine where items were: all of the file, if it is not known where.
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

// complete sees to it that the new file holds all that could be read: a disk that failed in between
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
