package checksum

// Finding a flipped bit. A CRC is linear: flipping a bit changes the checksum by a value that
// depends only on how many bits follow it. So the difference between the checksum that is stored
// and the one that is computed is searched among these values. A table has those of the last stride
// of bits, and the difference is run backwards from stride to stride. So the search takes less time
// than the checksum.

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"sync"
)

// InSum is what [Flipped] returns for a bit of the checksum itself.
const InSum = -1

// Flipped returns the one bit whose flip explains that b, starting from start, does not have the
// checksum sum. Bits are numbered from the lowest one of the first byte on. It is InSum if the
// checksum itself has the flipped bit: then b is sound. ok is false if no single bit explains it,
// and also if there is nothing to explain.
//
// Damage of two bits never looks like a flip of one, up to 2^31 bits. Any other damage looks like
// one with a probability of at most 8·len(b)+64 in 2^64.
func Flipped(start, sum uint64, b []byte) (bit int, ok bool) {
	diff := Update(start, b) ^ sum
	if bits.OnesCount64(diff) <= 1 {
		return InSum, diff != 0
	}
	s := strides()
	for after := 0; after < 8*len(b); after += stride {
		if n, ok := s.within[diff]; ok && after+n < 8*len(b) {
			return 8*len(b) - 1 - after - n, true
		}
		diff = s.back(diff)
	}
	return 0, false
}

// stride is how many bits the search goes back at a time.
const stride = 4096

// search is what finding a flipped bit needs to know.
type search struct {
	within    map[uint64]int // how many bits follow the one whose flip changes the checksum so
	low, high [4][256]uint32 // what a byte of a change was a stride before
}

var strides = sync.OnceValue(func() *search {
	s := &search{within: make(map[uint64]int, stride)}
	low, high := castagnoli.polynomial, ieee.polynomial // what a flip of the last bit changes
	for n := range stride {
		s.within[uint64(high)<<32|uint64(low)] = n
		low, high = castagnoli.next(low), ieee.next(high)
	}
	zeros := make([]byte, stride/8)
	for i := range 4 {
		for x := range uint32(256) {
			s.low[i][x] = ^castagnoli.start(^(x << (8 * i)), zeros)
			s.high[i][x] = ^ieee.start(^(x << (8 * i)), zeros)
		}
	}
	return s
})

// back returns what a change was a stride before.
func (s *search) back(change uint64) (before uint64) {
	for i := range 4 {
		before ^= uint64(s.low[i][byte(change>>(8*i))])
		before ^= uint64(s.high[i][byte(change>>(8*i+32))]) << 32
	}
	return before
}

// Flips32 returns the single bits of b, each as a pair with itself, and then the pairs of bits,
// whose flips explain that b, starting from start, does not have the CRC-32C sum. The single bits
// take about 1 ns for each bit of b, the pairs 50 ns and 32 bytes of memory. Any other damage looks
// like a pair with a probability of (8·len(b))²/2 in 2^32, so something else has to verify the
// outcome.
func Flips32(start, sum uint32, b []byte) iter.Seq[[2]int] {
	return func(yield func(pair [2]int) bool) {
		diff := Update32(start, b) ^ sum
		for bit, c := range effects32(len(b)) {
			if c == diff && !yield([2]int{bit, bit}) {
				return
			}
		}
		seen := make(map[uint32]int, 8*len(b))
		for bit, c := range effects32(len(b)) {
			if other, ok := seen[c^diff]; ok && !yield([2]int{bit, other}) {
				return
			}
			seen[c] = bit
		}
	}
}

// effects32 returns the bits of n bytes from the last one on, and what the flip of each changes in
// their CRC-32C.
func effects32(n int) iter.Seq2[int, uint32] {
	return func(yield func(bit int, change uint32) bool) {
		c := castagnoli.polynomial
		for bit := 8*n - 1; bit >= 0 && yield(bit, c); bit-- {
			c = castagnoli.next(c)
		}
	}
}

// next returns what the flip of the bit before changes, given what a flip changes.
func (h *half) next(c uint32) uint32 { return c>>1 ^ h.polynomial&-(c&1) }

// Mend mends b, whose checksum is in sum, little-endian, if one flipped bit explains why it does
// not match: see [Flipped]. It returns the byte that it changed: one of b or, counted on from its
// end, one of sum.
func Mend(start uint64, sum, b []byte) (at int, ok bool) {
	bit, ok := Flipped(start, binary.LittleEndian.Uint64(sum), b)
	switch {
	case !ok:
		return 0, false
	case bit != InSum:
		Flip(b, bit)
		return bit / 8, true
	}
	diff := Update(start, b) ^ binary.LittleEndian.Uint64(sum)
	bit = bits.TrailingZeros64(diff)
	Flip(sum, bit)
	return len(b) + bit/8, true
}

// Flip flips a bit of b.
func Flip(b []byte, bit int) { b[bit/8] ^= 1 << (bit % 8) }
