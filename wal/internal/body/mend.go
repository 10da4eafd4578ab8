package body

import (
	"errors"

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
