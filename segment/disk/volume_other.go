//go:build !linux

package disk

import (
	"errors"
	"io/fs"
)

// Volume is unsupported: elsewhere there is no such call, or it promises nothing.
func (OS) Volume(file string) (Volume, error) {
	return nil, &fs.PathError{Op: "sync volume", Path: file, Err: errors.ErrUnsupported}
}
