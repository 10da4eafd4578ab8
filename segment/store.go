package segment

// Storing bytes where the map does not take them.

import (
	"errors"
	"runtime/debug"
)

// store puts a record behind the last one.
func (s *Segment) store(off uint32, r *Record) error {
	fault := s.storeMapped(off, r)
	if fault == nil {
		return nil
	}
	b := make([]byte, RecordSize(len(r.Payload)))
	s.key.encode(b, off, r)
	if err := s.write(off+4, b[4:], fault); err != nil {
		return err
	}
	return s.write(off, b[:4], fault) // last, as in encode
}

func (s *Segment) storeMapped(off uint32, r *Record) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	s.key.put(s.mem, off, r)
	return nil
}

// put stores b at off.
func (s *Segment) put(off uint32, b []byte) error {
	if fault := s.putMapped(off, b); fault != nil {
		return s.write(off, b, fault)
	}
	return nil
}

func (s *Segment) putMapped(off uint32, b []byte) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	copy(s.mem[off:], b)
	return nil
}

// write is for after a fault. Where a file system writes no block twice, as btrfs, the disk may be
// too full for a store though its blocks were allocated. That looks like a page that cannot be
// written at all; an ordinary write tells one from the other, or succeeds.
func (s *Segment) write(off uint32, b []byte, fault error) error {
	if size, err := s.file.Size(); err != nil || size < s.allocated.Load() { // cut short by somebody: a write would hide it
		return fault
	}
	if _, err := s.file.WriteAt(b, int64(off)); err != nil {
		return errors.Join(s.wrap("write", err), fault)
	}
	return nil
}

// wipeMapped zeroes a range, as far as the map takes it.
func (s *Segment) wipeMapped(from, to int64) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	wipe(s.mem[from:to])
	return nil
}
