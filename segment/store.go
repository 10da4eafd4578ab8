package segment

// Storing bytes: small records through the map, long ones by writing them, so the first after a sync, and what the
// map does not take.

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Written is the length of a payload from which a record is written to the file instead of stored into the
// map: the first store into each page of a map costs more than a few system calls.
const Written = 8 << 10

// writtenFirst is how many records are written to the file after a sync, if they are short, before the map is used again. A sync
// leaves the pages read-only, so that the first store into each is a page fault: that costs as much as a short
// write, on a virtual machine many of them. Where few items come between two syncs, none meets it.
const writtenFirst = 4

// shortRecord is the longest record that is short: it is written in one call, from a buffer.
const shortRecord = 1 << 10

var shortBuffers = sync.Pool{New: func() any { return new([shortRecord]byte) }}

// store puts a record behind the last one.
func (s *Segment) store(off uint32, r *Record) error {
	if len(r.Payload) >= Written {
		return s.writeRecord(off, r)
	}
	if s.toWrite.Load() > 0 && isShort(off, r) && s.extent.TryLock() { // while a file grows, a write to it waits
		defer s.extent.Unlock()
		s.toWrite.Add(-1)
		return s.writeShort(off, r)
	}
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
	if s.cutShort() != nil {
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

// isShort reports whether a record is to be written in one call: it is in one page, so that a process that dies
// meanwhile leaves all of it or nothing.
func isShort(off uint32, r *Record) bool {
	size := uint32(RecordSize(len(r.Payload)))
	return size <= shortRecord && off/leastPage == (off+size-1)/leastPage
}

func (s *Segment) writeShort(off uint32, r *Record) error {
	if err := s.cutShort(); err != nil {
		return s.wrap("write", err)
	}
	buf := shortBuffers.Get().(*[shortRecord]byte)
	defer shortBuffers.Put(buf)
	b := buf[:RecordSize(len(r.Payload))]
	clear(b[len(b)-Align:]) // what follows the payload is zero
	s.key.encode(b, off, r)
	if _, err := s.file.WriteAt(b, int64(off)); err != nil {
		return s.wrap("write", err)
	}
	return nil
}

// writeRecord writes a record, payload first, checksum last.
func (s *Segment) writeRecord(off uint32, r *Record) error {
	if err := s.cutShort(); err != nil {
		return s.wrap("write", err)
	}
	head := s.head[:]
	s.key.encodeHead(head, off, r)
	if err := s.writeParts(off, head, r.Payload); err != nil {
		_ = s.wipeMapped(int64(off), int64(off)+RecordSize(len(r.Payload))) // there are to be zeros behind the tail
		return s.wrap("write", err)
	}
	return nil
}

func (s *Segment) writeParts(off uint32, head, payload []byte) error {
	if _, err := s.file.WriteAt(payload, int64(off)+recordHead); err != nil {
		return err
	}
	if off/leastPage != (off+recordHead-1)/leastPage { // a process may die between two pages
		if _, err := s.file.WriteAt(head[4:], int64(off)+4); err != nil {
			return err
		}
		head = head[:4]
	}
	_, err := s.file.WriteAt(head, int64(off))
	return err
}

// leastPage is the size of a page, or divides it.
const leastPage = 4 << 10

// cutShort is ErrFault when somebody cut the file: a write behind its end would hide that.
func (s *Segment) cutShort() error {
	allocated := s.allocated.Load() // first: it may grow meanwhile
	if size, err := s.file.Size(); err != nil || size < allocated {
		return errors.Join(err, fmt.Errorf("%w: the file has only %d bytes", ErrFault, size))
	}
	return nil
}
