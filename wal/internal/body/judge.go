package body

// Judging a body offline.

import (
	"errors"
	"io"
	"io/fs"

	"github.com/darner/darner/segment/disk"
)

// View is what Judge finds in a body's file.
type View struct {
	Size   int64 // bytes of the body, as the header says
	Upload uint64
	Log    uint64 // identity of the log it belongs to; 0 means not known
	Damage []Damage
	Flips  []Flip // flipped bits, which cost nothing
}

// Damage is a range of a body's file in which no chunk verifies.
type Damage struct {
	From, To int64 // bytes of the file; To may be after its end if it was cut short
	Fault    error // why the disk did not return the range; nil if it did
}

// Judge reads a whole body from a file of fileSize bytes. read may be nil; it is called with the
// number of bytes of each chunk. The error is ErrDamaged for a damaged header, without which no
// chunk verifies, and segment.ErrVersion for another format.
func Judge(
	fsys disk.FS, path string, fileSize int64, read func(n int64),
) (v View, err error) {
	r, err := Open(fsys, path)
	if err != nil {
		return v, err
	}
	defer r.Close()
	v.Size, v.Upload, v.Log = r.Size, r.Upload, r.Log
	defer func() { v.Flips = r.Flips() }()
	for {
		from := chunkOffset(r.next)
		err := r.fill()
		switch {
		case err == io.EOF:
			return v, nil
		case errors.Is(err, ErrDamaged):
			v.note(from, min(from+chunkStride, FileSize(v.Size)), err)
			r.next++
		case err != nil:
			return v, err
		}
		if read != nil {
			read(chunkStride)
		}
		// The rest of the file is missing.
		if at := chunkOffset(r.next); at >= fileSize && at < FileSize(v.Size) {
			v.note(at, FileSize(v.Size), ErrDamaged)
			return v, nil
		}
	}
}

// note adds a damaged chunk to the ranges.
func (v *View) note(from, to int64, err error) {
	d := Damage{From: from, To: to}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		d.Fault = e
	}
	if n := len(v.Damage); n > 0 && v.Damage[n-1].To == from &&
		(v.Damage[n-1].Fault == nil) == (d.Fault == nil) {
		v.Damage[n-1].To = to
		return
	}
	v.Damage = append(v.Damage, d)
}
