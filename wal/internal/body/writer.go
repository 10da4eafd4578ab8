package body

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// Writer writes a body's file chunk by chunk. The caller decides when to write a chunk, because it
// counts the disk that a chunk takes.
type Writer struct {
	f     disk.File
	chunk int64
	salt  uint64
	buf   *[]byte // from chunks
	n     int     // bytes in buf
}

// NewWriter starts the file of a body of size bytes with its header. The caller closes the file.
func NewWriter(f disk.File, size int64, upload, log uint64) (*Writer, error) {
	h := header{salt: rand.Uint64(), size: size, upload: upload, log: log}
	w := &Writer{f: f, salt: h.salt}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return nil, err
	}
	w.buf = chunks.Get().(*[]byte)
	return w, nil
}

// Fill copies as many bytes as the chunk has room for, and returns how many.
func (w *Writer) Fill(p []byte) int {
	k := copy((*w.buf)[w.n:chunkSize], p)
	w.n += k
	return k
}

// Full reports whether the chunk must be written before it takes more.
func (w *Writer) Full() bool { return w.n == chunkSize }

// Pending returns the bytes of disk that the chunk will take, 0 if it is empty.
func (w *Writer) Pending() int64 {
	if w.n == 0 {
		return 0
	}
	return int64(w.n) + checksum.Size
}

// Flush writes the chunk.
func (w *Writer) Flush() error {
	b := (*w.buf)[:w.n+checksum.Size]
	seed := checksum.Seed(w.salt, uint32(w.chunk))
	binary.LittleEndian.PutUint64(b[w.n:], checksum.Update(seed, b[:w.n]))
	if _, err := w.f.WriteAt(b, chunkOffset(w.chunk)); err != nil {
		return err
	}
	w.chunk++
	w.n = 0
	return nil
}

// Release gives the buffer back. The Writer must not be used afterwards.
func (w *Writer) Release() {
	if w.buf != nil {
		chunks.Put(w.buf)
		w.buf = nil
	}
}
