package exchange

// The spool holds a payload until the whole of its line has been read. A short one is in memory. A
// longer one is in a file without a name in the data directory: this disk must have space for the
// item anyway, and the directory for temporary files may be in memory.

import (
	"bytes"
	"io"

	"github.com/darner/darner/segment/disk"
)

// memorySpool is how many bytes are held in memory.
const memorySpool = 256 << 10

// Spool holds one payload at a time. It must be closed.
type Spool struct {
	fs   disk.FS
	path string
	head bytes.Buffer
	file disk.File // nil until a payload is too long for memory
	size int64
}

// NewSpool returns an empty spool. It creates its file at path when it needs one, and replaces what
// an interrupted import left there.
func NewSpool(fsys disk.FS, path string) *Spool { return &Spool{fs: fsys, path: path} }

// Reset empties the spool.
func (s *Spool) Reset() {
	s.head.Reset()
	s.size = 0
}

// Size returns how many bytes the spool holds.
func (s *Spool) Size() int64 { return s.size }

func (s *Spool) Write(p []byte) (int, error) {
	n := min(len(p), memorySpool-s.head.Len())
	s.head.Write(p[:n])
	s.size += int64(n)
	if n == len(p) {
		return n, nil
	}
	if err := s.open(); err != nil {
		return n, err
	}
	k, err := s.file.WriteAt(p[n:], s.size-memorySpool)
	s.size += int64(k)
	return n + k, err
}

func (s *Spool) open() (err error) {
	if s.file != nil {
		return nil
	}
	s.fs.Remove(s.path)
	if s.file, err = s.fs.Create(s.path); err != nil {
		return err
	}
	return s.fs.Remove(s.path)
}

// Reader returns a reader of what the spool holds.
func (s *Spool) Reader() io.Reader {
	head := bytes.NewReader(s.head.Bytes())
	if s.size <= memorySpool {
		return head
	}
	return io.MultiReader(head, io.NewSectionReader(s.file, 0, s.size-memorySpool))
}

// Close frees the file's disk space.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
