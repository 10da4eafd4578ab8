package segment

// Judging bytes: which of them are records and which are not. The same code serves opening after a
// crash, sealing, and checking offline.

import (
	"iter"
	"math"

	"github.com/darner/darner/segment/blank"
)

// Span is a range of a segment's bytes.
type Span struct{ From, To uint32 }

// Damage is a range of a segment that is not what it should be.
type Damage struct {
	From, To uint32

	// Tail: the range follows the last valid record. To is after the last byte that is not zero.
	Tail bool

	// Unfinished: a tail that begins with a checksum of zero, as an interrupted append leaves it.
	// Any other tail may once have been a record.
	Unfinished bool

	// Meta: the range is a copy of the header, the index or the footer. No record was touched.
	// Together with Tail: the file was being sealed, or was sealed and lost its footer.
	Meta bool

	// Bytes is a copy of the range. Only opening for writing makes one, because it overwrites tails
	// and copies of the header.
	Bytes []byte
}

// scan goes through the records in b, the bytes of a segment from its start to the end of the
// records or of the file. Bytes that are not a valid record come as a span with a nil record; so
// does whatever follows the last valid one. Records come with rising sequence numbers. A record is
// valid until the next step, its payload as long as b.
func scan(b []byte, h Header) iter.Seq2[Span, *Record] {
	return func(yield func(Span, *Record) bool) {
		k := h.key()
		var r Record
		for off := uint32(HeaderSize); int64(off) < int64(len(b)); {
			at, next, ok := k.resync(b, off, &r)
			if !ok {
				yield(Span{off, uint32(len(b))}, nil)
				return
			}
			if at > off && !yield(Span{off, at}, nil) || !yield(Span{at, next}, &r) {
				return
			}
			// Numbers rise, so a record with a lower number is out of place, even if it verifies.
			k.first = r.Seq + 1
			off = next
		}
	}
}

// Verdict is what [Segment.Judge] finds.
type Verdict struct {
	Tail   uint32 // offset after the last valid record
	Totals Totals // of the valid records
	Damage []Damage

	index index
}

// judge scans b, the bytes of a segment from its start to the end of the records or of the file,
// and sums up what it finds. Zeros after the last record are not damage.
func judge(b []byte, h Header) Verdict {
	v := Verdict{Tail: HeaderSize, Totals: Totals{Last: h.First - 1}}
	for span, r := range scan(b, h) {
		if r != nil {
			v.index = v.index.note(span.From, r.Seq, v.Totals.Items)
			v.Totals.add(r)
			v.Tail = span.To
			continue
		}
		v.Damage = append(v.Damage, Damage{From: span.From, To: span.To})
	}
	n := len(v.Damage)
	if n == 0 || v.Damage[n-1].From < v.Tail {
		return v
	}
	if d, ok := judgeTail(b, v.Tail); ok {
		v.Damage[n-1] = d
	} else {
		v.Damage = v.Damage[:n-1]
	}
	return v
}

// judgeTail returns what follows the last record; it is false if nothing does.
func judgeTail(b []byte, tail uint32) (Damage, bool) {
	t := blank.Trim(b[tail:])
	return Damage{
		From:       tail,
		To:         tail + uint32(len(t)),
		Tail:       true,
		Unfinished: blank.Bytes(t[:min(len(t), 4)]),
		Meta:       len(t) >= 8 && string(t[:8]) == indexMagic,
	}, len(t) > 0
}

// resync finds the first valid record at or after off, a multiple of 8, and the offset after it.
func (k key) resync(b []byte, off uint32, r *Record) (at, next uint32, ok bool) {
	all := math.MaxInt
	return k.resyncSome(b, off, &all, r)
}

// resyncSome is resync that gives up when work, in bytes to look at, is used up. Then at is where
// to continue. It is the end of b if no record follows.
func (k key) resyncSome(b []byte, off uint32, work *int, r *Record) (at, next uint32, ok bool) {
	// Look at the word that holds the kind, 16 bytes into a record. It is never zero, so a run of
	// zeros is skipped as fast as memory allows.
	for p := int(off) + 16; p+recordHead-16 <= len(b); p += 8 {
		if *work <= 0 {
			return uint32(p - 16), 0, false
		}
		*work -= 8
		word := le.Uint64(b[p:])
		if word == 0 {
			p = blank.Skip(b, p) - 8
			continue
		}
		if !plausible(word) {
			continue
		}
		at = uint32(p - 16)
		*work -= k.costs(b, at)
		if next, ok = k.get(b, at, r); ok {
			return at, next, true
		}
	}
	return uint32(len(b)), 0, false
}

// wipe zeroes b. It does not touch pages that are zero already: they may be holes, and they would
// be written back.
func wipe(b []byte) {
	for p := blank.Skip(b, 0); len(b)-p >= 8; p = blank.Skip(b, p) {
		le.PutUint64(b[p:], 0)
	}
	clear(b[len(b)&^7:])
}
