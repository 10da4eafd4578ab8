package segment

// Storing bytes. Short records go through the map. Long records are written to the file, and so are
// the first short ones after a sync and whatever a store into the map could not put there.

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/darner/darner/segment/disk"
)

// DirectWriteSize is the payload length, in bytes, from which a record is written to the file
// instead of being stored into the map: the first store into each page of a map costs more than a
// few system calls.
const DirectWriteSize = 8 << 10

// writesAfterSync is how many short records are written to the file after a sync, before the map is
// used again. A sync leaves the pages read-only, and the first store into each is then a page
// fault. That costs as much as a short write, and much more on a virtual machine. Where few items
// come between two syncs, none of them meets such a fault.
const writesAfterSync = 4

// shortRecord is the size, in bytes, up to which a record is short: it is written in one call, from
// a buffer.
const shortRecord = 1 << 10

var shortBuffers = sync.Pool{New: func() any { return new([shortRecord]byte) }}

// store puts a record after the last one. A file without a descriptor takes it through the map,
// which needs none.
func (s *Segment) store(off uint32, r *Record) error {
	long := len(r.Payload) >= DirectWriteSize
	if (long || s.toWrite.Load() > 0 && isShort(off, r)) && s.file.Held() {
		done, err := true, error(nil)
		if long {
			err = s.writeRecord(off, r)
		} else {
			done, err = s.tryWriteShort(off, r)
		}
		if done && !disk.IsTransient(err) {
			return err
		}
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

// tryWriteShort is writeShort, unless it would wait: while the file grows, a write does.
func (s *Segment) tryWriteShort(off uint32, r *Record) (done bool, err error) {
	if !s.extent.TryLock() {
		return false, nil
	}
	defer s.extent.Unlock()
	s.toWrite.Add(-1)
	return true, s.writeShort(off, r)
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

// write is used after a fault. On file systems that never overwrite a block in place, such as
// btrfs, the disk may be too full for a store although its blocks were allocated. That looks like a
// page that cannot be written at all. An ordinary write either succeeds or reports which of the two
// it is.
func (s *Segment) write(off uint32, b []byte, fault error) error {
	if s.cutShort() != nil {
		return fault
	}
	if _, err := s.file.WriteAt(b, int64(off)); err != nil {
		return errors.Join(s.wrap("write", err), fault)
	}
	return nil
}

// wipeMapped zeroes a range, as far as stores into the map succeed.
func (s *Segment) wipeMapped(from, to int64) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	wipe(s.mem[from:to])
	return nil
}

// isShort reports whether to write a record in one call. Such a record lies within one page, so if
// the process dies meanwhile, either all of it is there or nothing.
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
	clear(b[len(b)-Align:]) // bytes after the payload are zero
	s.key.encode(b, off, r)
	if _, err := s.file.WriteAt(b, int64(off)); err != nil {
		return s.wrap("write", err)
	}
	return nil
}

// writeRecord writes a record, its payload first and its checksum last.
func (s *Segment) writeRecord(off uint32, r *Record) error {
	if err := s.cutShort(); err != nil {
		return s.wrap("write", err)
	}
	head := s.head[:]
	s.key.encodeHead(head, off, r)
	if err := s.writeParts(off, head, r.Payload); err != nil {
		// There must be zeros after the tail.
		_ = s.wipeMapped(int64(off), int64(off)+RecordSize(len(r.Payload)))
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

// cutShort returns ErrFault if somebody cut the file short. A write past its end would hide that.
func (s *Segment) cutShort() error {
	allocated := s.allocated.Load() // before the size, which may grow meanwhile
	if size, err := s.file.Size(); err != nil || size < allocated {
		return errors.Join(err, fmt.Errorf("%w: the file has only %d bytes", ErrFault, size))
	}
	return nil
}
