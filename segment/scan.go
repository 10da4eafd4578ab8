package segment

// Judging bytes: which of them are records and which are not. The same code serves opening after a
// crash, sealing, and checking offline.

import (
	"iter"
	"math"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
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
// records or of the file, and through the bodies between them, which have kindBody. Bytes that are
// neither come as a span with a nil record; so does whatever follows the last valid one. Records
// come with rising sequence numbers. A record is valid until the next step, its payload as long as
// b. The bits that were flipped are appended to fixes.
func scan(b []byte, h Header, fixes *[]flip) iter.Seq2[Span, *Record] {
	return func(yield func(Span, *Record) bool) {
		k := h.key()
		var r Record
		for off := uint32(HeaderSize); int64(off) < int64(len(b)); {
			at, next, ok := k.expect(b, off, &r, fixes)
			if !ok {
				yield(Span{off, uint32(len(b))}, nil)
				return
			}
			if at > off && !yield(Span{off, at}, nil) || !yield(Span{at, next}, &r) {
				return
			}
			if r.Kind != kindBody {
				// Numbers rise, so a record with a lower number is out of place, even if it
				// verifies.
				k.least = r.Seq + 1
			}
			off = next
		}
	}
}

// expect finds the first valid record or body at or after off, where one should be.
func (k key) expect(b []byte, off uint32, r *Record, fixes *[]flip) (at, next uint32, ok bool) {
	if next, ok = k.getSound(b, off, r); ok {
		return off, next, true
	}
	if next, found, ok := k.mend(b, off, r, nil); ok {
		if fixes != nil {
			*fixes = append(*fixes, found...)
		}
		return off, next, true
	}
	all := math.MaxInt
	return k.resyncSome(b, off, &all, r)
}

// Verdict is what [Segment.Judge] finds.
type Verdict struct {
	Tail   uint32 // offset after the last valid record or body
	Totals Totals // of the valid records
	Damage []Damage
	Mended int // flipped bits that were mended

	index index
	fixes []flip
}

// judge scans b, the bytes of a segment from its start to the end of the records or of the file,
// and sums up what it finds. What is stale after the last record is not damage.
func judge(b []byte, h Header) Verdict {
	v := Verdict{Tail: HeaderSize, Totals: Totals{Last: h.First - 1}}
	k, lost := h.key(), uint64(0)
	for span, r := range scan(b, h, &v.fixes) {
		if r == nil {
			v.Damage = append(v.Damage, Damage{From: span.From, To: span.To})
			lost = k.lastIn(b, span)
			continue
		}
		v.Tail, v.Totals.Last = span.To, max(v.Totals.Last, lost)
		if r.Kind != kindBody {
			v.index = v.index.note(span.From, r.Seq, v.Totals.Items)
			v.Totals.add(r)
			v.spare(r)
		}
	}
	v.Mended = len(v.fixes)
	n := len(v.Damage)
	if n == 0 || v.Damage[n-1].From < v.Tail {
		return v
	}
	if d, ok := judgeTail(b, v.Tail, h, v.Totals.Last); ok {
		v.Damage[n-1] = d
	} else {
		v.Damage = v.Damage[:n-1]
	}
	return v
}

// lastIn returns the highest number of the records in a damaged range of which only the payload is
// damaged. Readers come upon them, so their numbers must not be given again.
func (k key) lastIn(b []byte, damaged Span) (last uint64) {
	var r Record
	for off := damaged.From; off < damaged.To; {
		next, ok := k.get(b, off, &r)
		if !ok {
			off += Align
			continue
		}
		if r.Kind != kindBody {
			last = max(last, r.Seq)
		}
		off = next
	}
	return last
}

// spare takes a payload that is sound out of the damage before it: only the head of its body is
// damaged.
func (v *Verdict) spare(r *Record) {
	n := len(v.Damage)
	if n == 0 || r.apart == 0 {
		return
	}
	if d := &v.Damage[n-1]; d.From < r.apart && r.apart < d.To {
		d.To = r.apart
	}
}

// judgeTail returns what follows the last record, whose number is last; it is false if nothing
// does.
func judgeTail(b []byte, tail uint32, h Header, last uint64) (Damage, bool) {
	t := blank.Trim(b[tail:])
	d := Damage{
		From:       tail,
		To:         tail + uint32(len(t)),
		Tail:       true,
		Unfinished: unfinished(t),
		Meta:       len(t) >= 8 && string(t[:8]) == indexMagic,
	}
	if h.Use > 0 && !d.Meta {
		stale, ok := h.stale(b, tail, last)
		if ok || d.Unfinished {
			return Damage{}, false
		}
		d.To = min(d.To, stale)
	}
	return d, d.To > d.From
}

// unfinished reports whether t, what follows the last record, begins as an interrupted append
// leaves it: without a checksum. Machines of 32 bits store it in two halves.
func unfinished(t []byte) bool {
	var sum [checksum.Size]byte
	copy(sum[:], t)
	return le.Uint32(sum[:]) == 0 || le.Uint32(sum[4:]) == 0
}

// resync finds the first valid record at or after off, a multiple of 8, and the offset after it.
func (k key) resync(b []byte, off uint32, r *Record) (at, next uint32, ok bool) {
	all := math.MaxInt
	for {
		at, next, ok = k.resyncSome(b, off, &all, r)
		if !ok || r.Kind != kindBody {
			return at, next, ok
		}
		off = next
	}
}

// resyncSome finds the first valid record or body. It gives up when work, in bytes to look at, is
// used up. Then at is where to continue. It is the end of b if none follows.
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
		if next, ok = k.getSound(b, at, r); ok {
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
