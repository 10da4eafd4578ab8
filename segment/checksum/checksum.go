// Package checksum is CRC-32C, with which all that is stored verifies, and that CRC run backwards: what
// one started from follows from its outcome and the bytes.
package checksum

import "hash/crc32"

// Table is that of the Castagnoli polynomial.
var Table = crc32.MakeTable(crc32.Castagnoli)

// Start returns what a checksum over b must have started from to end in sum.
func Start(sum uint32, b []byte) uint32 {
	c := ^sum
	for i := len(b) - 1; i >= 0; i-- {
		n := back[c>>24]
		c = (c^Table[n])<<8 | uint32(n^b[i])
	}
	return ^c
}

// back finds an entry of the table by its highest byte: each has another.
var back = func() (back [256]byte) {
	for i, x := range Table {
		back[x>>24] = byte(i)
	}
	return back
}()
