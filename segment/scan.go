package segment

// Judging bytes: which of them are records, which are not. The same code
// serves opening after a crash, sealing, and checking offline.

import (
	"iter"
	"math"
)

// Span is a range of a segment's bytes.
type Span struct{ From, To uint32 }

// Damage is a range of a segment that is not what it should be.
type Damage struct {
	From, To uint32

	// Tail: behind the last valid record. To is behind the last byte that is
	// not zero.
	Tail bool

	// Unfinished, of a tail: it begins with a checksum of zero, as left by an
	// append that was interrupted. Else it may once have been a record.
	Unfinished bool

	// Meta: a copy of the header, the index or the footer. No record was
	// touched. Together with Tail: the file was being sealed, or was sealed
	// and lost its footer.
	Meta bool

	// Bytes is a copy of the range, made by opening for writing only, which
	// overwrites tails and header copies.
	Bytes []byte
}

// Scan goes through the records in b, the bytes of a segment from its start
// to where the records end or the file does. Bytes that are no valid record
// come as a span with a nil record, and so does what is behind the last valid
// one, if anything. Records come with rising sequence numbers. A record is
// valid until the next step, its payload as long as b.
func Scan(b []byte, h Header) iter.Seq2[Span, *Record] {
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
			// Numbers rise, so whatever verifies below is out of place.
			k.first = r.Seq + 1
			off = next
		}
	}
}

// Verdict is what [Judge] finds.
type Verdict struct {
	Tail   uint32 // behind the last valid record
	Totals Totals // of the valid records
	Damage []Damage

	index index
}

// Judge scans b, the bytes of a segment from its start to where the records
// end or the file does, and sums up. Zeros behind the last record are no
// damage.
func Judge(b []byte, h Header) Verdict {
	v := Verdict{Tail: HeaderSize, Totals: Totals{Last: h.First - 1}}
	for span, r := range Scan(b, h) {
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

// judgeTail tells what stands behind the last record, false if nothing does.
func judgeTail(b []byte, tail uint32) (Damage, bool) {
	t := trimZeros(b[tail:])
	return Damage{
		From:       tail,
		To:         tail + uint32(len(t)),
		Tail:       true,
		Unfinished: zeros(t[:min(len(t), 4)]),
		Meta:       len(t) >= 8 && string(t[:8]) == indexMagic,
	}, len(t) > 0
}

// resync finds the first valid record at or after off, which is a multiple
// of 8, and where it ends.
func (k key) resync(b []byte, off uint32, r *Record) (at, next uint32, ok bool) {
	all := math.MaxInt
	return k.resyncSome(b, off, &all, r)
}

// resyncSome is resync that ends when it has done so much work, in bytes looked at: at is where to go on then,
// the end of b when there is nothing more.
func (k key) resyncSome(b []byte, off uint32, work *int, r *Record) (at, next uint32, ok bool) {
	// Look at the word that holds the kind, 16 bytes into a record: it is
	// never zero, so a run of zeros is skipped as fast as memory allows.
	for p := int(off) + 16; p+recordHead-16 <= len(b); p += 8 {
		if *work <= 0 {
			return uint32(p - 16), 0, false
		}
		*work -= 8
		word := le.Uint64(b[p:])
		if word == 0 {
			p = skipZeros(b, p) - 8
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

// skipZeros returns where the first 8-byte word at or after p stands that is
// not zero, or where no whole word is left.
func skipZeros(b []byte, p int) int {
	for ; len(b)-p >= 64; p += 64 {
		w := b[p : p+64 : p+64]
		if le.Uint64(w)|le.Uint64(w[8:])|le.Uint64(w[16:])|le.Uint64(w[24:])|
			le.Uint64(w[32:])|le.Uint64(w[40:])|le.Uint64(w[48:])|le.Uint64(w[56:]) != 0 {
			break
		}
	}
	for ; len(b)-p >= 8 && le.Uint64(b[p:]) == 0; p += 8 {
	}
	return p
}

// trimZeros returns b without the zeros at its end.
func trimZeros(b []byte) []byte {
	end := len(b)
	for end >= 8 && le.Uint64(b[end-8:]) == 0 {
		end -= 8
	}
	for end > 0 && b[end-1] == 0 {
		end--
	}
	return b[:end]
}

// zeros reports whether all bytes are zero.
func zeros(b []byte) bool {
	for _, c := range b[skipZeros(b, 0):] {
		if c != 0 {
			return false
		}
	}
	return true
}

// wipe zeroes b without touching pages that are zero already: they may be
// holes, and need not be written back.
func wipe(b []byte) {
	for p := skipZeros(b, 0); len(b)-p >= 8; p = skipZeros(b, p) {
		le.PutUint64(b[p:], 0)
	}
	clear(b[len(b)&^7:])
}
