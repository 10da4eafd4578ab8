package body

// Mending: a flipped bit of a body is written back as it was.

import (
	"errors"
	"io"

	"github.com/darner/darner/segment/disk"
)

// Mend writes flipped bits of a body's file back as they were, and syncs it. A body never changes
// otherwise, so what a reader found is still true.
func Mend(fsys disk.FS, path string, flips []Flip) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	for _, flip := range flips {
		if err == nil {
			_, err = f.WriteAt([]byte{flip.Was}, flip.At)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Scrub verifies a body and mends its flipped bits. It returns how many it had. pace is called with
// the number of bytes of each chunk, and ends it by an error. Other errors are ErrDamaged,
// segment.ErrVersion and those of the disk.
func Scrub(fsys disk.FS, path string, pace func(n int) error) (flipped int, err error) {
	flips, err := verify(fsys, path, pace)
	if len(flips) > 0 {
		err = errors.Join(err, Mend(fsys, path, flips))
	}
	return len(flips), err
}

func verify(fsys disk.FS, path string, pace func(n int) error) ([]Flip, error) {
	r, err := Open(fsys, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for err == nil {
		if err = r.fill(); err == nil {
			err = pace(chunkStride)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return r.Flips(), err
}
