package segment

// Reading records: by offset, past damage, by sequence number.

import (
	"bytes"
	"errors"
	"io"
	"runtime/debug"
)

// At returns the record at off, verified, and the offset of the next one. The
// payload aliases the map, or, of a cold segment, memory that is never used again. It is io.EOF at the tail, [ErrDamaged] if no valid
// record stands there, [ErrFault] if the bytes cannot be read. At does not
// allocate, except that a cold segment's blocks have to be decoded.
func (s *Segment) At(off uint32) (r Record, next uint32, err error) {
	if s.cold != nil {
		return s.coldAt(off)
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	tail := s.tail.Load()
	if off == tail {
		return r, off, io.EOF
	}
	next, ok := s.key.get(s.mem[:tail], off, &r)
	if !ok {
		return r, 0, s.wrapAt(off, ErrDamaged)
	}
	return r, next, nil
}

// ReadAhead has a sealed segment read from the disk by the time a reader comes to it, the first 16 MiB of it at
// most. It does not wait. Of a cold one there is [Segment.Prefetch].
func (s *Segment) ReadAhead() {
	const most = 16 << 20
	if s.cold == nil && s.Sealed() && !s.ahead.Swap(true) {
		s.file.ReadAhead(min(s.size.Load(), most))
	}
}

// Resync finds the first valid record at or after from. It is io.EOF if there
// is none below the tail. Where At meets damage, resync from [Align] bytes on.
// Resync does not allocate.
func (s *Segment) Resync(from uint32) (off uint32, err error) {
	if s.cold != nil {
		return s.cold.resync(from)
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	var r Record
	from = uint32(align(int64(max(from, HeaderSize))))
	off, _, ok := s.key.resync(s.mem[:s.tail.Load()], from, &r)
	if !ok {
		return 0, io.EOF
	}
	return off, nil
}

// ResyncSome is Resync that gives up after about so much work, in bytes looked at: nothing is found then, and off is
// where to go on.
func (s *Segment) ResyncSome(from uint32, work int) (off uint32, found bool, err error) {
	if s.cold != nil {
		off, err = s.cold.resync(from)
		return off, err == nil, err
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	var r Record
	from = uint32(align(int64(max(from, HeaderSize))))
	b := s.mem[:s.tail.Load()]
	off, _, found = s.key.resyncSome(b, from, &work, &r)
	if !found && off >= uint32(len(b)) {
		err = io.EOF
	}
	return off, found, err
}

// NextValid is Resync for what stands behind a damaged record at off: pages that cannot be read are stepped
// over. It is the tail when there is no valid record behind.
func (s *Segment) NextValid(off uint32) uint32 {
	tail := s.Tail()
	for from := off + Align; from < tail; {
		next, err := s.Resync(from)
		if err == nil {
			return next
		}
		if !errors.Is(err, ErrFault) {
			return tail
		}
		from = (from/unreadable + 1) * unreadable
	}
	return tail
}

// Near returns where to walk from to a record with a sequence number: there is nothing of it before. Of a cold
// segment it is the place itself, or none behind the start.
func (s *Segment) Near(seq uint64) (off uint32) {
	if s.cold != nil {
		if off, err := s.cold.find(seq); err == nil {
			return off
		}
		return HeaderSize
	}
	var err error
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	off = HeaderSize
	off = s.index.Load().start(seq)
	return off
}

// Find returns the offset of the first valid record with a sequence number of
// at least seq. It is io.EOF if there is none. It starts from the index and
// walks, stepping over damage.
func (s *Segment) Find(seq uint64) (off uint32, err error) {
	if s.cold != nil {
		return s.cold.find(seq)
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	b := s.mem[:s.tail.Load()]
	off = s.index.Load().start(seq)
	var r Record
	for {
		at, next, ok := s.key.resync(b, off, &r)
		if !ok {
			return 0, io.EOF
		}
		if r.Seq >= seq {
			return at, nil
		}
		off = next
	}
}

// Bytes returns a copy of the file's bytes from..to, as far as the file
// reaches: what a damaged range holds. Of a cold segment it is what
// [Segment.FileRange] says, with zeros for what cannot be read.
func (s *Segment) Bytes(from, to uint32) (b []byte, err error) {
	if s.cold != nil {
		return s.cold.bytes(from, to)
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	end := min(int64(to), s.size.Load(), int64(len(s.mem)))
	return bytes.Clone(s.mem[min(int64(from), end):end]), nil
}

// Judge scans the records anew and sums up what is valid and what is not, of
// a sealed segment too. Of a cold one the damage is where blocks are lost.
func (s *Segment) Judge() (v Verdict, err error) {
	if s.cold != nil {
		return s.cold.judge()
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	return Judge(s.mem[:s.tail.Load()], s.header), nil
}
