package segment

// Reading records: by offset, past damage, by sequence number.

import (
	"bytes"
	"errors"
	"io"
	"runtime/debug"
)

// At returns the record at off, verified, and the offset of the next one. The payload aliases the
// map; of a cold segment, and of a record with a flipped bit that was mended, it aliases memory
// that is never reused. The error is io.EOF at the tail, [ErrDamaged] if there is no valid record
// at off, and [ErrFault] if the bytes cannot be read. At allocates only to decode the blocks of a
// cold segment and to mend.
func (s *Segment) At(off uint32) (r Record, next uint32, err error) {
	return s.read(off, true)
}

// Head is At for callers who do not need the payload yet: one that is apart is not verified,
// however long it is.
func (s *Segment) Head(off uint32) (r Record, next uint32, err error) {
	return s.read(off, false)
}

// read reads a record, with its payload or without.
func (s *Segment) read(off uint32, whole bool) (r Record, next uint32, err error) {
	if s.cold != nil {
		next, err = s.coldAt(off, &r)
		return r, next, err
	}
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	b := s.mem[:s.tail.Load()]
	for next = off; ; {
		at := next
		if at == uint32(len(b)) {
			return Record{}, at, io.EOF
		}
		var ok bool
		if next, ok = s.key.get(b, at, &r); !ok || whole && !s.key.sound(&r) {
			if r, next, ok = s.mendAt(b, at); !ok {
				return r, 0, s.wrapAt(at, ErrDamaged)
			}
		}
		if r.Kind != kindBody {
			return r, next, nil
		}
	}
}

// mendAt reads a record that does not verify.
func (s *Segment) mendAt(b []byte, off uint32) (r Record, next uint32, ok bool) {
	next, fixes, ok := s.key.mend(b, off, &r, nil)
	if ok {
		s.meet(fixes)
		r.Mended = true
	}
	return r, next, ok
}

// Payload returns the payload of a record that Head returned just now, given its offset and the
// length of the payload. Of the record it verifies nothing again. A payload that is apart was not
// verified yet: [ErrDamaged] says that it does not verify, but At may be able to mend it.
func (s *Segment) Payload(off uint32, length int64) (b []byte, err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	tail := int64(s.tail.Load())
	if s.cold != nil || int64(off)+recordHead > tail {
		return nil, s.wrapAt(off, ErrDamaged)
	}
	c := s.mem[off:tail]
	if f, ok := s.key.frame(c, int64(len(c))); ok {
		var r Record
		if s.key.decode(s.mem[:tail], off, c, f, &r) &&
			int64(len(r.Payload)) == length && s.key.sound(&r) {
			return r.Payload, nil
		}
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
	for next := from; ; {
		off, next, found = s.key.resyncSome(b, next, &work, &r)
		if !found || r.Kind != kindBody {
			break
		}
	}
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
		at, next, ok := s.key.expect(b, off, &r, nil)
		if !ok {
			return 0, io.EOF
		}
		if r.Kind != kindBody && r.Seq >= seq {
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
