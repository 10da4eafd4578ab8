package body

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strconv"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// ErrDamaged: the bytes do not verify.
var ErrDamaged = errors.New("item is damaged")

// Reader streams the body of one large item from start to end. It verifies each chunk, and never
// returns a wrong byte. A flipped bit is mended in what is returned. Only one goroutine at a time
// may use it, either by Read or by Next.
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
	mem   []byte  // the map; nil: there is none
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

func (r *Reader) fill() (err error) {
	if r.ready, err = r.load(r.buf); err == nil {
		r.next++
	}
	return err
}

// load reads the next chunk into a buffer, and verifies it.
func (r *Reader) load(buf *[]byte) ([]byte, error) {
	n, err := r.left()
	if err != nil {
		return nil, err
	}
	b := (*buf)[:n+checksum.Size]
	if got, err := r.f.ReadAt(b, chunkOffset(r.next)); got < len(b) {
		if err == io.EOF {
			err = errEndsEarly
		}
		return nil, r.damaged(err)
	}
	return r.check(b)
}

// left is the length of the next chunk. It is io.EOF after the last one.
func (r *Reader) left() (int, error) {
	switch left := r.Size - r.next*chunkSize; {
	case left <= 0:
		return 0, io.EOF
	case r.buf == nil:
		return 0, fs.ErrClosed
	default:
		return int(min(left, chunkSize)), nil
	}
}

// check verifies the next chunk, which its checksum follows, and mends a flipped bit in it.
func (r *Reader) check(b []byte) ([]byte, error) {
	n := len(b) - checksum.Size
	seed := checksum.Seed(r.salt, uint32(r.next))
	if checksum.Update(seed, b[:n]) != binary.LittleEndian.Uint64(b[n:]) {
		at, ok := checksum.Mend(seed, b[n:], b[:n])
		if !ok {
			return nil, r.damaged(nil)
		}
		r.flips = append(r.flips, Flip{chunkOffset(r.next) + int64(at), b[at]})
	}
	return b[:n], nil
}

func (r *Reader) damaged(why error) error {
	if why == nil {
		return fmt.Errorf("%s: chunk %d: %w", r.path, r.next, ErrDamaged)
	}
	return fmt.Errorf("%s: chunk %d: %w: %w", r.path, r.next, ErrDamaged, why)
}

// Map has Next return chunks where they lie in a map of the file, which lasts until Close. Call it
// after Verify. It is false if the file cannot be mapped: Next does without.
func (r *Reader) Map() bool {
	if size := FileSize(r.Size); r.mem == nil && r.buf != nil && mappable(size) {
		r.mem, _ = r.f.Map(int(size), false)
	}
	return r.mem != nil
}

// mappable reports whether a map of that many bytes takes no address that others need.
func mappable(size int64) bool { return strconv.IntSize == 64 || size <= 4<<20 }

// Next returns the next chunk, verified: a part of the map, or of own, a buffer that is the
// caller's until it gives it to Recycle. The error is io.EOF after the last one.
func (r *Reader) Next() (chunk []byte, own *[]byte, err error) {
	if r.mem != nil {
		if chunk, err = r.nextMapped(); err != nil || chunk != nil {
			return chunk, nil, err
		}
	}
	own = chunks.Get().(*[]byte)
	if chunk, err = r.load(own); err != nil {
		chunks.Put(own)
		return nil, nil, err
	}
	r.next++
	return chunk, own, nil
}

// nextMapped is Next from the map. The chunk is nil if it does not verify.
func (r *Reader) nextMapped() (chunk []byte, err error) {
	n, err := r.left()
	if err != nil {
		return nil, err
	}
	at := chunkOffset(r.next)
	ok, fault := r.verifies(r.mem[at:at+int64(n)+checksum.Size], n)
	if fault != nil {
		return nil, r.damaged(fault)
	}
	if !ok {
		return nil, nil
	}
	r.next++
	return r.mem[at : at+int64(n) : at+int64(n)], nil
}

// verifies reports whether a chunk of n bytes in the map is what was written.
func (r *Reader) verifies(b []byte, n int) (ok bool, err error) {
	defer segment.Guard(r.path, debug.SetPanicOnFault(true), &err)
	seed := checksum.Seed(r.salt, uint32(r.next))
	return checksum.Update(seed, b[:n]) == binary.LittleEndian.Uint64(b[n:]), nil
}

// Recycle takes a buffer of Next back.
func Recycle(own *[]byte) { chunks.Put(own) }

// Close ends the map, closes the file and gives the buffer back.
func (r *Reader) Close() error {
	if r.buf == nil {
		return nil
	}
	chunks.Put(r.buf)
	r.buf, r.ready = nil, nil
	var err error
	if r.mem != nil {
		err = r.f.Unmap(r.mem)
		r.mem = nil
	}
	return errors.Join(err, r.f.Close())
}
