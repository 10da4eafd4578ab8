package inspect

import (
	"io"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/body"
)

var (
	// ErrDamaged: the bytes of an item do not verify.
	ErrDamaged = body.ErrDamaged

	// ErrVersion: the file was written in another format.
	ErrVersion = segment.ErrVersion

	// ErrForeign: the file belongs to another log.
	ErrForeign = segment.ErrForeign
)

// LargeItem reads the record of a large item: the size of the body in bytes, and the number of its
// upload. ok is false if it is not such a record.
func LargeItem(r *segment.Record) (size int64, upload uint64, ok bool) { return body.Record(r) }

// ItemSize returns the bytes that an item counts for: those of its body, if it is large.
func ItemSize(r *segment.Record) int64 { return body.ItemSize(r) }

// BodyFileSize returns the size in bytes of the file that holds a body of size bytes.
func BodyFileSize(size int64) int64 { return body.FileSize(size) }

// BodyView is what CheckBody finds in a body's file.
type BodyView = body.View

// BodyFlip is a byte of a body's file with a flipped bit.
type BodyFlip = body.Flip

// MendBody writes flipped bits of a body, as CheckBody found them, back as they were.
func (in *Inspection) MendBody(f FileInfo, flips []BodyFlip) error {
	return body.Mend(in.fs, in.Path(f), flips)
}

// BodyDamage is a range of a body's file in which no chunk verifies.
type BodyDamage = body.Damage

// OpenBody opens a body for reading. Each chunk is verified. A damaged header is ErrDamaged.
func (in *Inspection) OpenBody(f FileInfo) (io.ReadCloser, error) {
	return body.Open(in.fs, in.Path(f))
}

// CheckBody reads a whole body. read may be nil; it is called with the number of bytes of each
// chunk. The error is ErrDamaged for a damaged header, without which no chunk verifies, and
// ErrVersion for another format.
func (in *Inspection) CheckBody(f FileInfo, read func(n int64)) (BodyView, error) {
	return body.Judge(in.fs, in.Path(f), f.Size, read)
}

// ForeignBody reports whether a body says that it belongs to another log.
func (in *Inspection) ForeignBody(f FileInfo) bool {
	r, err := body.Open(in.fs, in.Path(f))
	if err != nil {
		return false
	}
	defer r.Close()
	return in.Foreign(r.Log)
}
