package segment

// Mending a flipped bit: where a record is expected and does not verify, the one bit is looked for
// whose flip explains it.

import (
	"bytes"
	"sync"

	"github.com/darner/darner/segment/checksum"
)

// flip is a bit of a file that is not as it was written.
type flip struct {
	at  uint32 // the byte
	bit uint8  // its mask
}

func flipAt(from uint32, bit int) flip {
	return flip{from + uint32(bit/8), 1 << (bit % 8)}
}

// metFlips is the flipped bits that readers of a segment met.
type metFlips struct {
	mu sync.Mutex
	at map[flip]bool
}

// mostMet bounds how many of them are remembered: beyond, one may be counted each time it is met.
const mostMet = 1 << 16

// meet counts flipped bits, each once.
func (s *Segment) meet(flips []flip) {
	s.met.mu.Lock()
	defer s.met.mu.Unlock()
	if s.met.at == nil {
		s.met.at = make(map[flip]bool)
	}
	for _, f := range flips {
		if s.met.at[f] {
			continue
		}
		if len(s.met.at) < mostMet {
			s.met.at[f] = true
		}
		s.flips.Add(1)
	}
}

// mend reads a record or body at off of b that does not verify, if it does with one bit flipped; in
// a payload that is apart there may be another one. What was flipped has copies in r. fixes are
// appended to.
func (k key) mend(b []byte, off uint32, r *Record, fixes []flip) (next uint32, _ []flip, ok bool) {
	if off%Align != 0 || off < HeaderSize || int64(off)+recordHead > int64(len(b)) ||
		le.Uint64(b[off:]) == 0 { // nothing was appended here
		return 0, fixes, false
	}
	next, ok = k.get(b, off, r)
	if !ok {
		var fix flip
		if next, fix, ok = k.mendRecord(b, off, r); !ok {
			return 0, fixes, false
		}
		fixes = append(fixes, fix)
	}
	if k.sound(r) {
		return next, fixes, true
	}
	bit, ok := checksum.Flipped(seedAt(k.salt, r.apart), r.sum, r.Payload)
	if !ok || bit == checksum.InSum { // the record, which has the sum, verifies
		return 0, fixes, false
	}
	r.Payload = bytes.Clone(r.Payload)
	checksum.Flip(r.Payload, bit)
	return next, append(fixes, flipAt(r.apart, bit)), true
}

// mendRecord is mend without what is apart.
func (k key) mendRecord(b []byte, off uint32, r *Record) (next uint32, fix flip, ok bool) {
	f, ok := k.frame(b[off:], int64(len(b))-int64(off))
	if !ok {
		return k.mendFrame(b, off, r)
	}
	c := bytes.Clone(b[off:][:f.covered])
	at, ok := checksum.Mend(seedAt(k.salt, off), c[:checksum.Size], c[checksum.Size:])
	if !ok {
		return k.mendFrame(b, off, r)
	}
	if at += checksum.Size; at >= f.covered { // in the checksum
		at -= f.covered
	}
	// Length, kind and flags say what the checksum covers.
	g, ok := k.frame(c, int64(len(b))-int64(off))
	if !ok || g.covered != f.covered || !k.decode(b, off, c, g, r) {
		return k.mendFrame(b, off, r)
	}
	return off + uint32(g.size), flip{off + uint32(at), c[at] ^ b[int(off)+at]}, true
}

// framing is the bits of a head that say what its checksum covers: length, kind and flags.
var framing = [...]struct{ from, to int }{{8, 12}, {16, 18}}

// mendFrame looks for a flip of one of these.
func (k key) mendFrame(b []byte, off uint32, r *Record) (next uint32, fix flip, ok bool) {
	rest := b[off+recordHead:]
	sum := le.Uint64(b[off:])
	for _, f := range framing {
		for bit := 8 * f.from; bit < 8*f.to; bit++ {
			h := append([]byte(nil), b[off:][:recordHead]...)
			checksum.Flip(h, bit)
			g, ok := k.frame(h, int64(len(b))-int64(off))
			if !ok {
				continue
			}
			h = append(h, rest[:g.covered-recordHead]...)
			if checksum.Update(seedAt(k.salt, off), h[checksum.Size:]) == sum {
				return off + uint32(g.size), flipAt(off, bit), k.decode(b, off, h, g, r)
			}
		}
	}
	return 0, fix, false
}
