package body

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// ErrDamaged: the bytes do not verify.
var ErrDamaged = errors.New("item is damaged")

// Reader streams the body of one large item from start to end. It verifies each chunk, and never
// returns a wrong byte. A flipped bit is mended in what is returned. Only one goroutine at a time
// may use it.
type Reader struct {
	Size   int64  // bytes of the body, as the header says
	Upload uint64 // number of the upload; the item's record has the same
	Log    uint64 // identity of the log it belongs to; 0 means not known

	f     disk.File
	path  string
	salt  uint64
	flips []Flip
	next  int64   // chunk to read next
	buf   *[]byte // from chunks
	ready []byte  // verified, not yet returned
}

var errEndsEarly = errors.New("file ends early")

// Open opens a body and verifies its header. Errors are ErrDamaged, segment.ErrVersion and those of
// the disk.
func Open(fsys disk.FS, path string) (*Reader, error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return nil, err
	}
	h, flips, err := readHeader(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Reader{
		f: f, path: path, buf: chunks.Get().(*[]byte), salt: h.salt, flips: flips,
		Size: h.size, Upload: h.upload, Log: h.log,
	}, nil
}

// Flips returns the flipped bits in what was read so far: see Mend.
func (r *Reader) Flips() []Flip { return r.flips }

// Verify returns ErrDamaged if this is not the body with that size and upload, or if bytes are
// missing at its end. The latter happens after a power cut that left the record but not all of the
// body. It is better found before the first byte is sent than halfway.
func (r *Reader) Verify(size int64, upload uint64) error {
	if r.Size != size || r.Upload != upload {
		return fmt.Errorf("%s: %w: it is the body of another item", r.path, ErrDamaged)
	}
	has, err := r.f.Size()
	if err == nil && has < FileSize(size) {
		err = fmt.Errorf("%s: %w: %w", r.path, ErrDamaged, errEndsEarly)
	}
	return err
}

// Read returns the next bytes of the body. A chunk that does not verify is ErrDamaged, and none of
// its bytes are returned.
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
	left := r.Size - r.next*chunkSize
	if left <= 0 {
		return io.EOF
	}
	if r.buf == nil {
		return fs.ErrClosed
	}
	n := int(min(left, chunkSize))
	b := (*r.buf)[:n+checksum.Size]
	if got, err := r.f.ReadAt(b, chunkOffset(r.next)); got < len(b) {
		if err == io.EOF {
			err = errEndsEarly
		}
		return fmt.Errorf("%s: chunk %d: %w: %w", r.path, r.next, ErrDamaged, err)
	}
	seed := checksum.Seed(r.salt, uint32(r.next))
	if checksum.Update(seed, b[:n]) != binary.LittleEndian.Uint64(b[n:]) {
		at, ok := checksum.Mend(seed, b[n:], b[:n])
		if !ok {
			return fmt.Errorf("%s: chunk %d: %w", r.path, r.next, ErrDamaged)
		}
		r.flips = append(r.flips, Flip{chunkOffset(r.next) + int64(at), b[at]})
	}
	r.next++
	r.ready = b[:n]
	return nil
}

// Close closes the file and gives the buffer back.
func (r *Reader) Close() error {
	if r.buf == nil {
		return nil
	}
	chunks.Put(r.buf)
	r.buf, r.ready = nil, nil
	return r.f.Close()
}
