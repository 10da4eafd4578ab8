package segment

// Storing a record where the map does not take it.

import (
	"errors"
	"runtime/debug"
)

// store puts a record into the map. Where a file system writes no block twice, as btrfs, the disk
// may be too full for a store though its blocks were allocated. That looks like a page that cannot
// be written at all; an ordinary write tells one from the other, or succeeds.
func (s *Segment) store(off uint32, r *Record) error {
	fault := s.storeMapped(off, r)
	if fault == nil {
		return nil
	}
	if size, err := s.file.Size(); err != nil || size < s.allocated.Load() { // cut short by somebody: a write would hide it
		return fault
	}
	b := make([]byte, RecordSize(len(r.Payload)))
	s.key.encode(b, off, r)
	_, err := s.file.WriteAt(b[4:], int64(off)+4)
	if err == nil {
		_, err = s.file.WriteAt(b[:4], int64(off)) // last, as in encode
	}
	if err != nil {
		return errors.Join(s.wrap("append", err), fault)
	}
	return nil
}

func (s *Segment) storeMapped(off uint32, r *Record) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	s.key.put(s.mem, off, r)
	return nil
}
