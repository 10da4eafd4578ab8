// Package body reads and writes the bodies of large items, and the records that stand for them.
package body

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// The body of a large item is a file: a header, then chunks of 64 KiB (the last one may be
// shorter), each followed by its checksum. Integers are little-endian.
//
//	 0  magic    "DARNITM\x00"
//	 8  version  uint32
//	12  zeros
//	16  salt     uint64
//	24  size     uint64   bytes of the body
//	32  upload   uint64   number of the upload
//	40  log      uint64   identity of the log, 0 = not known
//	48  zeros
//	56  checksum uint64   over bytes 0 to 55
//
// A chunk's checksum is seeded with the salt and the chunk's number, so a chunk of another file or
// in the wrong place does not verify.
const (
	magic        = "DARNITM\x00"
	version      = 2
	versionPlace = 8
	headerSize   = 64
	chunkSize    = 64 << 10
	chunkStride  = chunkSize + checksum.Size
)

// chunks lends buffers for one chunk and its checksum. So memory depends on the number of streams,
// not on the size of their items.
var chunks = sync.Pool{New: func() any { b := make([]byte, chunkStride); return &b }}

func chunkOffset(i int64) int64 { return headerSize + i*chunkStride }

// FileSize returns the size in bytes of the file that holds a body of size bytes.
func FileSize(size int64) int64 {
	return chunkOffset(0) + size + (size+chunkSize-1)/chunkSize*checksum.Size
}

// header is what the first bytes of a body's file say.
type header struct {
	salt        uint64
	size        int64
	upload, log uint64
}

func (h *header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[versionPlace:], version)
	binary.LittleEndian.PutUint64(b[16:], h.salt)
	binary.LittleEndian.PutUint64(b[24:], uint64(h.size))
	binary.LittleEndian.PutUint64(b[32:], h.upload)
	binary.LittleEndian.PutUint64(b[40:], h.log)
	binary.LittleEndian.PutUint64(b[56:], checksum.Of(b[:56]))
	return b
}

// Flip is a byte of a body's file with a flipped bit.
type Flip struct {
	At  int64 // in the file
	Was byte  // before
}

// readHeader reads and verifies the header of a body. It returns the flipped bit that it has, if
// any. Errors are ErrDamaged, segment.ErrVersion and those of the disk.
func readHeader(f disk.File, path string) (h header, flips []Flip, err error) {
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return h, nil, err
	}
	v := binary.LittleEndian.Uint32(b[versionPlace:])
	if checksum.Of(b[:56]) != binary.LittleEndian.Uint64(b[56:]) {
		at, ok := checksum.Mend(0, b[56:], b[:56])
		switch {
		case ok:
			flips = []Flip{{int64(at), b[at]}}
			v = binary.LittleEndian.Uint32(b[versionPlace:])
		case v != 1: // version 1 had its checksum elsewhere
			return h, nil, damagedHeader(path)
		}
	}
	switch {
	case string(b[:8]) != magic:
		return h, nil, damagedHeader(path)
	case v != version:
		return h, nil, fmt.Errorf("%s: %w", path, segment.OtherVersion(v))
	}
	return header{
		salt:   binary.LittleEndian.Uint64(b[16:]),
		size:   int64(binary.LittleEndian.Uint64(b[24:])),
		upload: binary.LittleEndian.Uint64(b[32:]),
		log:    binary.LittleEndian.Uint64(b[40:]),
	}, flips, nil
}

func damagedHeader(path string) error { return fmt.Errorf("%s: header: %w", path, ErrDamaged) }

// CheckVersion returns segment.ErrVersion if a body is of another format version. Other errors are
// those of readHeader.
func CheckVersion(fsys disk.FS, path string) error {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, err = readHeader(f, path)
	return err
}
