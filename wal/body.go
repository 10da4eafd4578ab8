package wal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/darner/darner/segment/disk"
)

// The body of a large item is a file: a header, then chunks of 64 KiB (the last one may be
// shorter), each followed by its CRC-32C. Integers are little-endian.
//
//	0  magic "DARNITM", 0       16  body size, bytes      24  upload number
//	8  format version uint32    12  salt uint32           32  log, its identity, 0 not known
//	                                                      40.. zeros    60  crc32c of the 60 bytes before
//
// A chunk's checksum is seeded with the salt plus the chunk's number, so that neither a chunk of
// another file nor one in the wrong place verifies.
const (
	bodyMagic      = "DARNITM\x00"
	bodyVersion    = 1
	bodyHeaderSize = 64
	chunkSize      = 64 << 10
	chunkStride    = chunkSize + 4
)

// chunks lends buffers of one chunk and its checksum: memory depends on the number of streams,
// not on the size of their items.
var chunks = sync.Pool{New: func() any { b := make([]byte, chunkStride); return &b }}

func chunkOffset(i int64) int64 { return bodyHeaderSize + i*chunkStride }

func newSalt() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

func bodyHeader(size int64, salt uint32, upload, log uint64) []byte {
	b := make([]byte, bodyHeaderSize)
	copy(b, bodyMagic)
	binary.LittleEndian.PutUint32(b[8:], bodyVersion)
	binary.LittleEndian.PutUint32(b[12:], salt)
	binary.LittleEndian.PutUint64(b[16:], uint64(size))
	binary.LittleEndian.PutUint64(b[24:], upload)
	binary.LittleEndian.PutUint64(b[32:], log)
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crcTable))
	return b
}

// Reader streams the body of one large item from start to end, verified chunk by chunk: it never
// returns a wrong byte. Use it from one goroutine at a time.
type Reader struct {
	f      disk.File
	path   string
	size   int64
	upload uint64 // which upload it was: the item's record has the same
	log    uint64 // whose it is; 0 when that is not known
	salt   uint32
	next   int64   // chunk to read next
	buf    *[]byte // from chunks
	ready  []byte  // verified, not yet returned

	damaged func() // called when a chunk does not verify
}

var errEndsEarly = errors.New("file ends early")

// openBody opens a body and verifies its header.
func openBody(fsys disk.FS, path string) (*Reader, error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return nil, err
	}
	b := make([]byte, bodyHeaderSize)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		f.Close()
		return nil, err
	}
	if string(b[:8]) != bodyMagic || crc32.Checksum(b[:60], crcTable) != binary.LittleEndian.Uint32(b[60:]) {
		f.Close()
		return nil, fmt.Errorf("%s: header: %w", path, ErrDamaged)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > bodyVersion {
		f.Close()
		return nil, fmt.Errorf("%s has format version %d, this program knows up to %d", path, v, bodyVersion)
	}
	return &Reader{
		damaged: func() {}, f: f, path: path, buf: chunks.Get().(*[]byte),
		salt: binary.LittleEndian.Uint32(b[12:]), size: int64(binary.LittleEndian.Uint64(b[16:])),
		upload: binary.LittleEndian.Uint64(b[24:]), log: binary.LittleEndian.Uint64(b[32:]),
	}, nil
}

// verify is ErrDamaged for the body of another item than the one of a size and an upload, and when bytes are missing at
// its end, as after a power cut that left the record but not all of the body: better found before the first byte is
// handed out than halfway.
func (r *Reader) verify(size int64, upload uint64) error {
	if r.size != size || r.upload != upload {
		return fmt.Errorf("%s: %w: it is the body of another item", r.path, ErrDamaged)
	}
	has, err := r.f.Size()
	if err == nil && has < bodyBytes(size) {
		err = fmt.Errorf("%s: %w: %w", r.path, ErrDamaged, errEndsEarly)
	}
	return err
}

// Size is the size of the body in bytes.
func (r *Reader) Size() int64 { return r.size }

// Read returns the next bytes of the body. A chunk that does not verify is ErrDamaged, and no byte
// of it is returned.
func (r *Reader) Read(p []byte) (int, error) {
	if len(r.ready) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

func (r *Reader) fill() error {
	left := r.size - r.next*chunkSize
	if left <= 0 {
		return io.EOF
	}
	if r.buf == nil {
		return ErrClosed
	}
	n := int(min(left, chunkSize))
	b := (*r.buf)[:n+4]
	if got, err := r.f.ReadAt(b, chunkOffset(r.next)); got < len(b) {
		if err == io.EOF {
			err = errEndsEarly
		}
		r.damaged()
		return fmt.Errorf("%s: chunk %d: %w: %w", r.path, r.next, ErrDamaged, err)
	}
	if crc32.Update(r.salt+uint32(r.next), crcTable, b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
		r.damaged()
		return fmt.Errorf("%s: chunk %d: %w", r.path, r.next, ErrDamaged)
	}
	r.next++
	r.ready = b[:n]
	return nil
}

// Close ends the reading.
func (r *Reader) Close() error {
	if r.buf == nil {
		return nil
	}
	chunks.Put(r.buf)
	r.buf, r.ready = nil, nil
	return r.f.Close()
}
