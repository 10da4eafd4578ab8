package segment

// Reading records: by offset, past damage, by sequence number.

import (
	"bytes"
	"errors"
	"io"
	"runtime/debug"
)

// At returns the record at off, verified, and the offset of the next one. The payload aliases the
// map; of a cold segment it aliases memory that is never reused. The error is io.EOF at the tail,
// [ErrDamaged] if there is no valid record at off, and [ErrFault] if the bytes cannot be read. At
// allocates only to decode the blocks of a cold segment.
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

// Payload returns the payload of a record that At returned just now, given its offset and the
// length of the payload. It does not verify it again.
func (s *Segment) Payload(off uint32, length int64) ([]byte, error) {
	from := int64(off) + recordHead
	if to := from + length; s.cold == nil && length >= 0 && to <= int64(s.tail.Load()) {
		return s.mem[from:to:to], nil
	}
	return nil, s.wrapAt(off, ErrDamaged)
}

// ReadAhead makes the disk read a sealed segment before a reader comes to it, at most its first 16
// MiB. It does not wait. For a cold segment, use [Segment.Prefetch].
func (s *Segment) ReadAhead() {
	const most = 16 << 20
	if s.cold == nil && s.Sealed() && !s.ahead.Swap(true) {
		s.file.ReadAhead(min(s.size.Load(), most))
	}
}

// Resync finds the first valid record at or after from. It is io.EOF if there is none below the
// tail. Where At meets damage, continue with Resync from [Align] bytes later. Resync does not
// allocate.
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

// ResyncSome is Resync that gives up after it has looked at about work bytes. Then found is false,
// and off is where to continue.
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

// NextValid is Resync after a damaged record at off. It steps over pages that cannot be read. It is
// the tail if no valid record follows.
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

// Near returns an offset from which to walk to a record with a sequence number; no such record is
// before it. In a cold segment it is the record's own offset, or the start if there is no such
// record.
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

// Find returns the offset of the first valid record with a sequence number of at least seq. It is
// io.EOF if there is none. Find starts from the index, walks, and steps over damage.
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

// Bytes returns a copy of the file's bytes from..to, as far as the file reaches: the content of a
// damaged range. Of a cold segment it returns the bytes of [Segment.FileRange], with zeros for what
// cannot be read.
func (s *Segment) Bytes(from, to uint32) (b []byte, err error) {
	if s.cold != nil {
		return s.cold.bytes(from, to)
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	end := min(int64(to), s.size.Load(), int64(len(s.mem)))
	return bytes.Clone(s.mem[min(int64(from), end):end]), nil
}

// Judge scans the records again and sums up what is valid and what is not, also in a sealed
// segment. In a cold segment, lost blocks are the damage.
func (s *Segment) Judge() (v Verdict, err error) {
	if s.cold != nil {
		return s.cold.judge()
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	return judge(s.mem[:s.tail.Load()], s.header), nil
}
