package checksum

// Finding a flipped bit. A CRC is linear: flipping a bit changes the checksum by a value that
// depends only on how many bits follow it. So the difference between the checksum that is stored
// and the one that is computed is searched among these values. It takes about 1 ns for each bit.

import (
	"encoding/binary"
	"math/bits"
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
	low, high := castagnoli.polynomial, ieee.polynomial // what a flip of the last bit changes
	for after := range 8 * len(b) {
		if low == uint32(diff) && high == uint32(diff>>32) {
			return 8*len(b) - 1 - after, true
		}
		low, high = castagnoli.next(low), ieee.next(high)
	}
	return 0, false
}

// next returns what the flip of the bit before changes, given what a flip changes.
func (h *half) next(c uint32) uint32 { return c>>1 ^ h.polynomial&-(c&1) }

// Mend mends b, whose checksum is in sum, little-endian, if one flipped bit explains why it does not
// match: see [Flipped]. It returns the byte that it changed: one of b or, counted on from its end,
// one of sum.
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
