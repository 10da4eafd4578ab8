// Package checksum is CRC-32C, which verifies everything that is stored. It can also be run
// backwards: the value that a checksum started from follows from its result and the bytes.
package checksum

import "hash/crc32"

var table = crc32.MakeTable(crc32.Castagnoli)

// Of returns the checksum of b.
func Of(b []byte) uint32 { return crc32.Checksum(b, table) }

// Update returns the checksum of b that starts from a value: from a seed, or from the checksum of
// the bytes before.
func Update(start uint32, b []byte) uint32 { return crc32.Update(start, table, b) }

// Start returns the value that a checksum over b must have started from to end in sum.
func Start(sum uint32, b []byte) uint32 {
	c := ^sum
	for i := len(b) - 1; i >= 0; i-- {
		n := byHighByte[c>>24]
		c = (c^table[n])<<8 | uint32(n^b[i])
	}
	return ^c
}

// byHighByte finds an entry of the table by its highest byte, which differs in all of them.
var byHighByte = func() (indexes [256]byte) {
	for i, x := range table {
		indexes[x>>24] = byte(i)
	}
	return indexes
}()
