package segment

// Storing bytes. Short records go through the map. Long records are written to the file, and so are
// the first short one after a sync and whatever a store into the map could not put there.

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// DirectWriteSize is the payload length, in bytes, from which a record is written to the file
// instead of being stored into the map: the first store into each page of a map costs more than a
// few system calls. In a file that is used again the pages are in memory, and everything is stored.
const DirectWriteSize = 8 << 10

// writesAfterSync is how many short records are written to the file after a sync, before the map is
// used again. A sync leaves the pages read-only, and the first store into each is then a page
// fault, which costs as much as a short write or two: either has the file system note a new time of
// the file. So where one item comes between two syncs a write is better, and the kernel then need
// not take the page from the map at the next sync. More writes cost more than they save.
const writesAfterSync = 1

// shortRecord is the size, in bytes, up to which a record is short: it is written in one call, from
// a buffer.
const shortRecord = 1 << 10

// headRoom is enough for a record without a note whose payload is apart.
const headRoom = recordHead + dueSize + apartSize

// headFor returns room for a record whose payload is apart.
func (s *Segment) headFor(r *Record) []byte {
	if len(r.Note) > 0 {
		return make([]byte, recordSize(apartSize, r.front()))
	}
	return s.head[:]
}

var shortBuffers = sync.Pool{New: func() any { return new([shortRecord + endSize]byte) }}

// store puts a record that has its payload itself after the last one. A file without a descriptor
// takes it through the map, which needs none.
func (s *Segment) store(off uint32, r *Record) error {
	if s.toWrite.Load() > 0 && isShort(off, r) && s.file.Held() {
		if done, err := s.tryWriteShort(off, r); done && !disk.IsTransient(err) {
			return err
		}
	}
	fault := s.storeMapped(off, r)
	if fault == nil {
		return nil
	}
	b := make([]byte, r.Size()+endSize)
	s.key.encode(b[:r.Size()], off, r)
	if err := s.write(off+checksum.Size, b[checksum.Size:], fault); err != nil {
		return err
	}
	return s.write(off, b[:checksum.Size], fault) // last, as in encode
}

// storeApart puts a payload into a body after the last record, and its record after that. It
// returns the offset of the record.
func (s *Segment) storeApart(off uint32, r *Record) (at uint32, err error) {
	r.apart = off + recordHead
	r.sum = checksum.Update(seedAt(s.key.salt, r.apart), r.Payload)
	at = off + uint32(align(recordHead+int64(len(r.Payload))))
	if len(r.Payload) >= DirectWriteSize && off >= s.stale.Load() && s.file.Held() {
		err = s.writeApart(off, at, r)
		if !disk.IsTransient(err) {
			return at, err
		}
	}
	fault := s.storeApartMapped(off, at, r)
	if fault == nil {
		return at, nil
	}
	return at, s.writeAll(off, at, r, fault)
}

// storeApartMapped stores so that a process that dies leaves no record, or all of it: first the end
// of the body, where a record might be taken for one, and the record's checksum last.
func (s *Segment) storeApartMapped(off, at uint32, r *Record) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	s.end(at)
	s.end(at + uint32(recordSize(apartSize, r.front())))
	clear(s.mem[at-Align : at]) // what pads the payload
	copy(s.mem[r.apart:], r.Payload)
	s.key.encodeBody(s.mem[off:], off, len(r.Payload))
	s.key.encodeApart(s.mem[at:], at, r)
	return nil
}

// end makes sure that no record stands at an offset.
func (s *Segment) end(at uint32) {
	if at < s.stale.Load() {
		le.PutUint64(s.mem[at:], 0)
	}
}

// writeApart is storeApartMapped by writes. After the tail are zeros.
func (s *Segment) writeApart(off, at uint32, r *Record) error {
	if err := s.cutShort(); err != nil {
		return s.wrap("write", err)
	}
	if err := s.writeParts(off, at, r); err != nil {
		// There must be zeros after the tail.
		_ = s.wipeMapped(int64(off), int64(off)+r.Size())
		return s.wrap("write", err)
	}
	return nil
}

func (s *Segment) writeParts(off, at uint32, r *Record) error {
	if _, err := s.file.WriteAt(r.Payload, int64(r.apart)); err != nil {
		return err
	}
	s.key.encodeBody(s.head[:], off, len(r.Payload))
	if err := s.writeHead(s.head[:recordHead], off); err != nil {
		return err
	}
	head := s.headFor(r)
	return s.writeHead(head[:s.key.encodeApart(head, at, r)], at)
}

// writeHead writes a head, its checksum last if it lies in two pages: a process may die between
// them.
func (s *Segment) writeHead(head []byte, off uint32) error {
	if off/leastPage != (off+uint32(len(head))-1)/leastPage {
		if _, err := s.file.WriteAt(head[checksum.Size:], int64(off)+checksum.Size); err != nil {
			return err
		}
		head = head[:checksum.Size]
	}
	_, err := s.file.WriteAt(head, int64(off))
	return err
}

// writeAll is storeApartMapped after a fault.
func (s *Segment) writeAll(off, at uint32, r *Record, fault error) error {
	b := make([]byte, r.Size()+endSize)
	s.key.encodeBody(b, off, len(r.Payload))
	copy(b[recordHead:], r.Payload)
	s.key.encodeApart(b[at-off:], at, r)
	var sum [checksum.Size]byte
	copy(sum[:], b[at-off:])
	clear(b[at-off:][:checksum.Size])
	if err := s.write(off, b, fault); err != nil {
		return err
	}
	return s.write(at, sum[:], fault)
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
	end := off + uint32(r.Size())
	s.end(end)
	s.key.encode(s.mem[off:end], off, r)
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

// fix writes bits back that were flipped, as far as stores into the map succeed.
func (s *Segment) fix(flips []flip) {
	var err error
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	for _, f := range flips {
		s.mem[f.at] ^= f.bit
	}
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

// isShort reports whether to write a record in one call. Such a record lies within one page, with
// the zeros after it, so if the process dies meanwhile, either all of it is there or nothing.
func isShort(off uint32, r *Record) bool {
	size := uint32(r.Size())
	return size <= shortRecord && off/leastPage == (off+size+endSize-1)/leastPage
}

func (s *Segment) writeShort(off uint32, r *Record) error {
	if err := s.cutShort(); err != nil {
		return s.wrap("write", err)
	}
	buf := shortBuffers.Get().(*[shortRecord + endSize]byte)
	defer shortBuffers.Put(buf)
	size := r.Size()
	s.key.encode(buf[:size], off, r)
	clear(buf[size:][:endSize])
	if _, err := s.file.WriteAt(buf[:size+endSize], int64(off)); err != nil {
		return s.wrap("write", err)
	}
	return nil
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
