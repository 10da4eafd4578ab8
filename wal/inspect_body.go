package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/darner/darner/segment"
)

// ErrVersion: the file was written in a newer format.
var ErrVersion = segment.ErrVersion

// LargeItem tells what the record of a large item says: the size of the body in bytes, and the
// number of its upload. ok is false when it is no such record.
func LargeItem(r *segment.Record) (size int64, upload uint64, ok bool) {
	if r.Kind != segment.KindLarge || len(r.Payload) != largePayload {
		return 0, 0, false
	}
	return largeSize(r.Payload), largeUpload(r.Payload), true
}

// BodyFileSize is the size of the file that holds a body of so many bytes.
func BodyFileSize(size int64) int64 { return bodyBytes(size) }

// BodyView is what a body's file holds.
type BodyView struct {
	Size   int64 // bytes of the body, as the header says
	Upload uint64
	Log    uint64 // whose it is, 0 when that is not known
	Damage []BodyDamage
}

// BodyDamage is a range of a body's file in which no chunk verifies.
type BodyDamage struct {
	From, To int64 // bytes of the file; To is where the range should end, wherever the file does
	Fault    error // why the disk did not give it, nil if it did
}

// OpenBody streams a body, verified chunk by chunk. A damaged header is ErrDamaged.
func (in *Inspection) OpenBody(f FileInfo) (*Reader, error) { return openBody(in.fs, in.Path(f)) }

// CheckBody reads a whole body; read, if it is not nil, is told of every chunk's bytes. A damaged
// header, without which no chunk verifies, is ErrDamaged; a newer format is ErrVersion.
func (in *Inspection) CheckBody(f FileInfo, read func(n int64)) (v BodyView, err error) {
	if v.Upload, err = in.bodyUpload(f); err != nil {
		return v, err
	}
	r, err := in.OpenBody(f)
	if err != nil {
		return v, err
	}
	defer r.Close()
	v.Size, v.Log = r.size, r.log
	for {
		from := chunkOffset(r.next)
		err := r.fill()
		switch {
		case err == io.EOF:
			return v, nil
		case errors.Is(err, ErrDamaged):
			v.note(from, min(from+chunkStride, bodyBytes(v.Size)), err)
			r.next++
		case err != nil:
			return v, err
		}
		if read != nil {
			read(chunkStride)
		}
		if at := chunkOffset(r.next); at >= f.Size && at < bodyBytes(v.Size) { // nothing is left to be read
			v.note(at, bodyBytes(v.Size), ErrDamaged)
			return v, nil
		}
	}
}

// ForeignBody reports whether a body says that it belongs to another log.
func (in *Inspection) ForeignBody(f FileInfo) bool {
	r, err := in.OpenBody(f)
	if err != nil {
		return false
	}
	defer r.Close()
	return in.Foreign(r.log)
}

// note adds a damaged chunk to the ranges.
func (v *BodyView) note(from, to int64, err error) {
	d := BodyDamage{From: from, To: to}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		d.Fault = e
	}
	if n := len(v.Damage); n > 0 && v.Damage[n-1].To == from && (v.Damage[n-1].Fault == nil) == (d.Fault == nil) {
		v.Damage[n-1].To = to
		return
	}
	v.Damage = append(v.Damage, d)
}

// bodyUpload reads the upload's number, and tells a newer format from damage.
func (in *Inspection) bodyUpload(f FileInfo) (uint64, error) {
	file, err := in.fs.OpenRead(in.Path(f))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	b := make([]byte, bodyHeaderSize)
	if _, err := file.ReadAt(b, 0); err != nil && err != io.EOF {
		return 0, err
	}
	sound := string(b[:8]) == bodyMagic && crc32.Checksum(b[:60], crcTable) == binary.LittleEndian.Uint32(b[60:])
	if v := binary.LittleEndian.Uint32(b[8:]); sound && v > bodyVersion {
		return 0, fmt.Errorf("%s has format version %d: %w", in.Path(f), v, ErrVersion)
	}
	return binary.LittleEndian.Uint64(b[24:]), nil
}
