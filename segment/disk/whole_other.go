//go:build !linux

package disk

import (
	"errors"
	"io/fs"
)

// Whole is not to be had: elsewhere such a call promises nothing, or there is none.
func (OS) Whole(file string) (Whole, error) {
	return nil, &fs.PathError{Op: "sync whole", Path: file, Err: errors.ErrUnsupported}
}
