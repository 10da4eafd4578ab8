package inspect

import (
	"io"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/body"
)

var (
	// ErrDamaged: the bytes of an item do not verify.
	ErrDamaged = body.ErrDamaged

	// ErrVersion: the file was written in a newer format.
	ErrVersion = segment.ErrVersion

	// ErrForeign: the file belongs to another log.
	ErrForeign = segment.ErrForeign
)

// LargeItem tells what the record of a large item says: the size of the body in bytes, and the
// number of its upload. ok is false when it is no such record.
func LargeItem(r *segment.Record) (size int64, upload uint64, ok bool) { return body.Record(r) }

// ItemSize is what an item counts for, in bytes: a large one its body.
func ItemSize(r *segment.Record) int64 { return body.ItemSize(r) }

// BodyFileSize is the size of the file that holds a body of so many bytes.
func BodyFileSize(size int64) int64 { return body.FileSize(size) }

// BodyView is what a body's file holds.
type BodyView = body.View

// BodyDamage is a range of a body's file in which no chunk verifies.
type BodyDamage = body.Damage

// OpenBody streams a body, verified chunk by chunk. A damaged header is ErrDamaged.
func (in *Inspection) OpenBody(f FileInfo) (io.ReadCloser, error) {
	return body.Open(in.fs, in.Path(f))
}

// CheckBody reads a whole body; read, if it is not nil, is told of every chunk's bytes. A damaged
// header, without which no chunk verifies, is ErrDamaged; a newer format is ErrVersion.
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
