package fsck

// Mending one segment. It works the same for all kinds of damage: the valid records, with their
// numbers, are copied to a new file, which is sealed, synced and renamed over the old one.

import (
	"errors"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// copyOver replaces a segment by a copy of its valid records. It copies what does not verify to the
// quarantine.
func (r *repair) copyOver(s *segmentFile) error {
	v, err := r.openKeeping(s)
	if err != nil {
		return err
	}
	defer v.Close()
	return r.replace(v.Path(),
		func(fresh string) error { return r.copyRecords(v, s.header, fresh) })
}

// copyRecords writes a sealed segment with the valid records.
func (r *repair) copyRecords(v *inspect.SegmentView, h segment.Header, path string) (err error) {
	if h.Log == 0 {
		h.Log = r.e.in.Log
	}
	h.Salt = 0          // get a new one, so that no old record verifies in the new file
	if h.Created == 0 { // the header is lost
		h.Created = time.Now().UnixMilli()
	}
	if tail := int64(v.Tail()); v.Headless {
		// The capacity is lost. This is enough for index and footer.
		h.Capacity = min(segment.MaxCapacity, tail+tail/512+4<<10)
	}
	to, err := segment.Create(r.o.FS, path, h.Capacity)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := to.Start(h); err != nil {
		return err
	}
	next := h.First
	for step := range v.Steps() {
		if step.Err != nil || step.Record.Seq < next {
			continue
		}
		if err := appendRecord(to, &step.Record); err != nil {
			return err
		}
		next = step.Record.Seq + 1
	}
	return to.Seal()
}

// appendRecord appends a record, and allocates space for it if necessary.
func appendRecord(to *segment.Segment, r *segment.Record) error {
	_, err := to.Append(r)
	if errors.Is(err, segment.ErrUnallocated) {
		if err := to.Extend(r.Size()); err != nil {
			return err
		}
		_, err = to.Append(r)
	}
	return err
}

// cut truncates a segment after its last record.
func (r *repair) cut(s *segmentFile) error {
	v, err := r.openKeeping(s)
	if err != nil {
		return err
	}
	defer v.Close()
	f, err := r.o.FS.Open(v.Path())
	if err != nil {
		return err
	}
	err = f.Truncate(int64(v.Tail()))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// openKeeping opens a segment, and copies what does not verify in it to the quarantine.
func (r *repair) openKeeping(s *segmentFile) (*inspect.SegmentView, error) {
	v, err := r.e.open(s.file)
	if err != nil {
		return nil, err
	}
	if err := r.keepDamage(v, s); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// keepDamage copies ranges that held items, or may have, to the quarantine.
func (r *repair) keepDamage(v *inspect.SegmentView, s *segmentFile) error {
	for step := range v.Steps() {
		if errors.Is(step.Err, segment.ErrDamaged) {
			if err := r.keep(s.file.Name, int64(step.From), int64(step.To),
				"no record verifies in it"); err != nil {
				return err
			}
		}
	}
	for _, d := range v.Found {
		if d.Tail && !d.Unfinished && !d.Meta {
			if err := r.keep(s.file.Name, int64(d.From), int64(d.To),
				"came after the last record and did not verify"); err != nil {
				return err
			}
		}
	}
	return nil
}
