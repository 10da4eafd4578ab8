package body

// Judging a body offline.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// View is what Judge finds in a body's file.
type View struct {
	Size   int64 // bytes of the body, as the header says
	Upload uint64
	Log    uint64 // identity of the log it belongs to; 0 means not known
	Damage []Damage
}

// Damage is a range of a body's file in which no chunk verifies.
type Damage struct {
	From, To int64 // bytes of the file; To may be after its end if it was cut short
	Fault    error // why the disk did not return the range; nil if it did
}

// Judge reads a whole body from a file of fileSize bytes. read may be nil; it is called with the
// number of bytes of each chunk. The error is ErrDamaged for a damaged header, without which no
// chunk verifies, and segment.ErrVersion for a newer format.
func Judge(
	fsys disk.FS, path string, fileSize int64, read func(n int64),
) (v View, err error) {
	if v.Upload, err = uploadOf(fsys, path); err != nil {
		return v, err
	}
	r, err := Open(fsys, path)
	if err != nil {
		return v, err
	}
	defer r.Close()
	v.Size, v.Log = r.Size, r.Log
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

// uploadOf reads the number of the upload. It tells a newer format from damage.
func uploadOf(fsys disk.FS, path string) (uint64, error) {
	file, err := fsys.OpenRead(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	b := make([]byte, headerSize)
	if _, err := file.ReadAt(b, 0); err != nil && err != io.EOF {
		return 0, err
	}
	if v := binary.LittleEndian.Uint32(b[8:]); soundHeader(b) && v > version {
		return 0, fmt.Errorf("%s has format version %d: %w", path, v, segment.ErrVersion)
	}
	return binary.LittleEndian.Uint64(b[24:]), nil
}
