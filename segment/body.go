package segment

// A payload that comes in pieces. It gets room after the last record, and others are appended after
// it while it comes. Its own record is appended when it is whole, and gives it its place in the
// order.

import (
	"runtime/debug"

	"github.com/darner/darner/segment/checksum"
)

// Body is room for a payload in a segment.
type Body struct {
	at   uint32 // of the payload
	size uint32
}

// Size returns the bytes of the payload.
func (b Body) Size() int { return int(b.size) }

func (b Body) head() uint32 { return b.at - recordHead }

func (b Body) end() uint32 { return uint32(align(int64(b.at) + int64(b.size))) }

// ReserveSize returns the most bytes that a payload of size bytes takes that is reserved, with its
// record, whatever due time and note that has.
func ReserveSize(size int) int64 {
	return align(recordHead+int64(size)) + recordSize(apartSize, frontMost)
}

// Reserve makes room for a payload of size bytes, at least 1. It is [Segment.Append] in all else:
// its errors, and who may call it when. A segment whose file is used again also has room before
// [Segment.Start].
func (s *Segment) Reserve(size int) (Body, error) {
	if !s.takesBodies() {
		return Body{}, s.wrap("reserve", ErrReadOnly)
	}
	if s.tail.Load() == 0 {
		h := s.again
		h.Capacity = s.header.Capacity
		s.begin(h, HeaderSize, Totals{}, nil)
	}
	if _, err := s.room(ReserveSize(size), int64(size)); err != nil {
		return Body{}, err
	}
	b := Body{at: s.tail.Load() + recordHead, size: uint32(size)}
	if fault := s.storeBodyHead(b); fault != nil {
		if err := s.writeBodyHead(b, fault); err != nil {
			return Body{}, err
		}
	}
	s.tail.Store(b.end())
	return b, nil
}

// takesBodies reports whether payloads may come: the segment is active, or its next salt is known.
func (s *Segment) takesBodies() bool {
	st := s.state.Load()
	return st == stateActive || st == stateBlank && s.again.Use > 0
}

func (s *Segment) storeBodyHead(b Body) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	s.end(b.end())
	clear(s.mem[b.end()-Align : b.end()]) // what pads the payload
	s.key.encodeBody(s.mem[b.head():], b.head(), int(b.size))
	return nil
}

// writeBodyHead is storeBodyHead by writes.
func (s *Segment) writeBodyHead(b Body, fault error) error {
	var head [recordHead]byte
	s.key.encodeBody(head[:], b.head(), int(b.size))
	if err := s.write(b.end()-Align, make([]byte, Align+endSize), fault); err != nil {
		return err
	}
	return s.write(b.head(), head[:], fault)
}

// Fill stores a piece of the payload at an offset in it. Pieces may be filled while others append
// and read.
func (s *Segment) Fill(b Body, at int, piece []byte) error {
	from := b.at + uint32(at)
	if from >= s.stale.Load() && len(piece) >= DirectWriteSize && s.file.Held() {
		if err := s.cutShort(); err != nil {
			return s.wrap("write", err)
		}
		if _, err := s.file.WriteAt(piece, int64(from)); err != nil {
			return s.wrap("write", err)
		}
		return nil
	}
	return s.put(from, piece)
}

// Warm reports whether the pages for a payload are in memory already, because the file is used
// again: then Lend is better than Fill.
func (s *Segment) Warm(b Body) bool {
	return b.end() <= s.stale.Load() && (!s.cool.Load() || b.end() <= s.populated.Load())
}

// Lend returns the part of the map that takes the payload from an offset on. A system call that
// writes there reports a page that cannot be written as an error; anybody else needs [Guard].
func (s *Segment) Lend(b Body, at int) []byte {
	return s.mem[b.at+uint32(at) : b.at+b.size : b.at+b.size]
}

// SumStart returns the checksum of no bytes of a payload, to go on from with [checksum.Update].
func (s *Segment) SumStart(b Body) uint64 { return seedAt(s.key.salt, b.at) }

// AppendBody appends the record of a payload that is whole; sum is its checksum. r.Payload is set.
// It is [Segment.Append] in all else. After [ErrFull] the payload must be appended to another
// segment.
func (s *Segment) AppendBody(b Body, sum uint64, r *Record) (off uint32, err error) {
	r.Payload, r.apart, r.sum = s.mem[b.at:][:b.size:b.size], b.at, sum
	end, err := s.place(r, recordSize(apartSize, r.front()))
	if err != nil {
		return 0, err
	}
	off = s.tail.Load()
	if fault := s.storeApartRecord(off, uint32(end), r); fault != nil {
		head := s.headFor(r)
		head = head[:s.key.encodeApart(head, off, r)]
		if err := s.write(off+checksum.Size, head[checksum.Size:], fault); err != nil {
			return 0, err
		}
		if err := s.write(off, head[:checksum.Size], fault); err != nil {
			return 0, err
		}
	}
	s.totals.add(r)
	s.tail.Store(uint32(end))
	return off, nil
}

func (s *Segment) storeApartRecord(off, end uint32, r *Record) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	s.end(end)
	s.key.encodeApart(s.mem[off:], off, r)
	return nil
}

// Release gives up a payload that did not become whole. Its room is used for what comes next if
// nothing was appended after it, or only what was released as well; otherwise it is lost until the
// segment goes. It may be called by who may append.
func (s *Segment) Release(b Body) {
	if !s.takesBodies() {
		return
	}
	if s.tail.Load() != b.end() {
		if len(s.released) < mostReleased {
			s.released = append(s.released, b)
		}
		return
	}
	for ok := true; ok; b, ok = s.releasedLast() {
		if end := b.end(); s.stale.Load() < end {
			s.stale.Store(end)
		}
		if s.put(b.head(), make([]byte, endSize)) != nil {
			return
		}
		s.tail.Store(b.head())
	}
}

// mostReleased bounds what a segment remembers of payloads that were released before what comes
// after them.
const mostReleased = 256

// releasedLast returns the payload before the tail, if it was released.
func (s *Segment) releasedLast() (b Body, ok bool) {
	for i, b := range s.released {
		if b.end() == s.tail.Load() {
			last := len(s.released) - 1
			s.released[i] = s.released[last]
			s.released = s.released[:last]
			return b, true
		}
	}
	return b, false
}
