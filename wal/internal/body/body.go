// Package body reads and writes the bodies of large items, and the records that stand for them.
package body

import (
	"encoding/binary"
	"sync"

	"github.com/darner/darner/segment/checksum"
)

// The body of a large item is a file: a header, then chunks of 64 KiB (the last one may be
// shorter), each followed by its CRC-32C. Integers are little-endian.
//
//	 0  magic    "DARNITM\x00"
//	 8  version  uint32
//	12  salt     uint32
//	16  size     uint64   bytes of the body
//	24  upload   uint64   number of the upload
//	32  log      uint64   identity of the log, 0 = not known
//	40  zeros
//	60  checksum uint32   CRC-32C of bytes 0 to 59
//
// A chunk's checksum is seeded with the salt plus the chunk's number, so a chunk of another file or
// in the wrong place does not verify.
const (
	magic       = "DARNITM\x00"
	version     = 1
	headerSize  = 64
	chunkSize   = 64 << 10
	chunkStride = chunkSize + 4
)

// chunks lends buffers for one chunk and its checksum. So memory depends on the number of streams,
// not on the size of their items.
var chunks = sync.Pool{New: func() any { b := make([]byte, chunkStride); return &b }}

func chunkOffset(i int64) int64 { return headerSize + i*chunkStride }

// FileSize returns the size in bytes of the file that holds a body of size bytes.
func FileSize(size int64) int64 { return chunkOffset(0) + size + (size+chunkSize-1)/chunkSize*4 }

func header(size int64, salt uint32, upload, log uint64) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], salt)
	binary.LittleEndian.PutUint64(b[16:], uint64(size))
	binary.LittleEndian.PutUint64(b[24:], upload)
	binary.LittleEndian.PutUint64(b[32:], log)
	binary.LittleEndian.PutUint32(b[60:], checksum.Of32(b[:60]))
	return b
}

// soundHeader reports whether b, the first bytes of a file, is the header of a body.
func soundHeader(b []byte) bool {
	return string(b[:8]) == magic && checksum.Of32(b[:60]) == binary.LittleEndian.Uint32(b[60:])
}
