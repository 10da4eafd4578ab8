package segment

// Using a file again. What a segment held is stale once its records are taken. The file keeps its
// disk blocks, and its pages stay in memory and mapped. With another salt nothing that it held
// verifies. The salts of all uses follow from the file's and their number. So what is stale can be
// told from what is damaged, also after a power cut that left pages of several uses.

import (
	"math/rand/v2"
	"runtime/debug"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
)

// salt is what the checksums of the segment start from: that of the file, and another one for each
// use.
func (h *Header) salt() uint64 { return h.Salt + h.Use*saltStep }

// saltStep makes the salts of different uses differ in about half of their bits.
const saltStep = 0x9e3779b97f4a7c15

// saltStepInverse times saltStep is 1, modulo 2^64.
const saltStepInverse = 0xf1de83e19937733d

// Recycle makes a segment blank whose records nobody wants any more, and gives it the disk blocks
// of its whole capacity. Its header stays until [Segment.Start] writes another one. path is the
// name that the file has by now, for messages. Nobody else may use the segment meanwhile. The error
// is [ErrReadOnly] for a segment that cannot be stored into: one that is cold, or was opened when
// it was sealed. After an error the segment can only be closed.
func (s *Segment) Recycle(path string) (err error) {
	s.extent.Lock()
	defer s.extent.Unlock()
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	if st := s.state.Load(); !s.writable || st != stateActive && st != stateSealed {
		return s.wrap("recycle", ErrReadOnly)
	}
	s.path = path
	tail, capacity := s.tail.Load(), s.header.Capacity
	s.state.Store(stateReadOnly)
	if size := s.size.Load(); size < capacity || s.allocated.Load() < capacity {
		if err := s.allocateLocked(int64(tail), capacity); err != nil {
			return err
		}
	}
	wipe(s.mem[tail:]) // an index, a footer, what is left of earlier uses
	s.again = Header{Salt: s.header.Salt, Use: s.nextUse()}
	s.header = Header{Capacity: capacity}
	s.totals = Totals{}
	s.index.Store(nil)
	s.stale.Store(tail)
	s.populated.Store(0)
	s.cool.Store(false)
	s.released = nil
	if !s.cleaned.Swap(false) { // what was stored to may be stored to again
		s.populated.Store(tail &^ (wholePages - 1))
	}
	s.flushed.Store(0)
	s.flips.Store(0)
	s.met.at, s.opened = nil, openedFlips{}
	s.tail.Store(0)
	s.state.Store(stateBlank)
	return nil
}

// Cool notes that the pages of a blank segment may have left memory, as it was not used for long.
// [Segment.Populate] brings them back.
func (s *Segment) Cool() {
	s.populated.Store(0)
	s.cool.Store(true)
}

// mostUses bounds the number of a use: anything beyond is none, but damage.
const mostUses = 1 << 48

// nextUse returns the number of the next use. A power cut may leave records of uses that the header
// does not know of. So a file that was opened goes on with a random number.
func (s *Segment) nextUse() uint64 {
	if s.created && s.header.Use+1 < mostUses {
		return s.header.Use + 1
	}
	s.created = true
	return 1 + rand.Uint64N(mostUses-1)
}

// stale returns from where on what follows the last record, whose number is last, is left from
// other uses of the file; ok says that all of it is. Where records overwrote a stale one, its rest
// is stale, too, unless it looks like the record that would come next.
func (h *Header) stale(b []byte, tail uint32, last uint64) (from uint32, ok bool) {
	k := h.key()
	from = tail + uint32(len(blank.Trim(b[tail:])))
	for at := tail; at+recordHead <= from; at += Align {
		if le.Uint64(b[at+16:]) != 0 && h.ofOtherUse(k, b, at) {
			from = at
		}
	}
	if from-tail < recordHead {
		return from, true
	}
	_, framed := k.frame(b[tail:], int64(len(b))-int64(tail))
	return from, !framed || le.Uint32(b[tail+12:]) != uint32(last+1-h.First)
}

// ofOtherUse reports whether the record or body at an offset verifies with the salt of another use
// of the file.
func (h *Header) ofOtherUse(k key, b []byte, at uint32) bool {
	f, ok := k.frame(b[at:], int64(len(b))-int64(at))
	if !ok {
		return false
	}
	start := checksum.Start(le.Uint64(b[at:]), b[at+checksum.Size:][:f.covered-checksum.Size])
	use := (checksum.Seed(start, -(at/Align)) - h.Salt) * saltStepInverse
	return use < mostUses && use != h.Use
}
