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

// View is what a body's file holds.
type View struct {
	Size   int64 // bytes of the body, as the header says
	Upload uint64
	Log    uint64 // whose it is, 0 when that is not known
	Damage []Damage
}

// Damage is a range of a body's file in which no chunk verifies.
type Damage struct {
	From, To int64 // bytes of the file; To is where the range should end, wherever the file does
	Fault    error // why the disk did not give it, nil if it did
}

// Judge reads a whole body, of a file of so many bytes; read, if it is not nil, is told of every chunk's bytes. A damaged
// header, without which no chunk verifies, is ErrDamaged; a newer format is segment.ErrVersion.
func Judge(fsys disk.FS, path string, size int64, read func(n int64)) (v View, err error) {
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
		if at := chunkOffset(r.next); at >= size && at < FileSize(v.Size) { // nothing is left to be read
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
	if n := len(v.Damage); n > 0 && v.Damage[n-1].To == from && (v.Damage[n-1].Fault == nil) == (d.Fault == nil) {
		v.Damage[n-1].To = to
		return
	}
	v.Damage = append(v.Damage, d)
}

// uploadOf reads the upload's number, and tells a newer format from damage.
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
