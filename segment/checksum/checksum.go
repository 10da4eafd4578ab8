// Package checksum is the CRC that verifies everything that is stored. When exactly one bit of what
// it covers was flipped, it also tells which: see [Flipped].
//
// A checksum has 64 bits, in two halves: CRC-32C in the low half and the CRC-32 of IEEE 802.3 in
// the high half. Their polynomials have no common factor, so by the Chinese remainder theorem the
// two remainders say exactly what the remainder by the product of both, of degree 64, says. The
// pair is a CRC-64 in other coordinates. Processors have instructions for both halves, also small
// ones, so the pair is quick for short records, where a CRC-64 of its own is not.
//
// Up to 2^31 bits, all errors of one or two bits have different checksums: CRC-32C repeats after
// 2^31-1 bits, the other half after 2^32-1, and 1 + x, which divides the polynomial of CRC-32C,
// keeps errors of an odd number of bits apart from those of an even number.
package checksum

import "hash/crc32"

// Size is the size of a checksum in bytes.
const Size = 8

// Of returns the checksum of b.
func Of(b []byte) uint64 { return Update(0, b) }

// Update returns the checksum of b that starts from a value: from a seed, or from the checksum of
// the bytes before.
func Update(start uint64, b []byte) uint64 {
	const piece = 16 << 10 // the second half finds it in the processor's cache
	low, high := uint32(start), uint32(start>>32)
	for len(b) > piece {
		low, high = update(low, high, b[:piece])
		b = b[piece:]
	}
	low, high = update(low, high, b)
	return uint64(high)<<32 | uint64(low)
}

func update(low, high uint32, b []byte) (uint32, uint32) {
	return crc32.Update(low, castagnoli.table, b), crc32.Update(high, ieee.table, b)
}

// Seed returns a value for a checksum to start from: a salt, with n added to each half of it.
func Seed(salt uint64, n uint32) uint64 {
	return uint64(uint32(salt>>32)+n)<<32 | uint64(uint32(salt)+n)
}

// Start returns the value that a checksum over b must have started from to end in sum.
func Start(sum uint64, b []byte) uint64 {
	return uint64(ieee.start(uint32(sum>>32), b))<<32 | uint64(castagnoli.start(uint32(sum), b))
}

// half is one of the two CRCs.
type half struct {
	table      *crc32.Table
	polynomial uint32 // reversed
	byHighByte [256]byte
}

var (
	castagnoli = newHalf(crc32.Castagnoli)
	ieee       = newHalf(crc32.IEEE)
)

func newHalf(polynomial uint32) *half {
	h := &half{table: crc32.MakeTable(polynomial), polynomial: polynomial}
	for i, x := range h.table { // the highest byte differs in all entries
		h.byHighByte[x>>24] = byte(i)
	}
	return h
}

// start runs the CRC backwards.
func (h *half) start(sum uint32, b []byte) uint32 {
	c := ^sum
	for i := len(b) - 1; i >= 0; i-- {
		n := h.byHighByte[c>>24]
		c = (c^h.table[n])<<8 | uint32(n^b[i])
	}
	return ^c
}

// Update32 returns the CRC-32C of b that starts from a value.
func Update32(start uint32, b []byte) uint32 { return crc32.Update(start, castagnoli.table, b) }
