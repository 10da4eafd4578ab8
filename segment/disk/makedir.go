package disk

// Directories that survive a power cut. A new directory is a name in its parent, which has to be synced
// for it, and so has the parent's own name where that is new as well.

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// MakeDir makes a directory and the parents it lacks. When it returns, each survives a power cut: it is
// synced in its parent before anything is made in it. So a call that was killed half-way leaves at most
// one name that may go, the lowest one, and that is synced as well. A parent that this user may not read
// cannot be synced, which is no error.
func MakeDir(fsys FS, dir string) error {
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	if _, err := fsys.Allocated(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := MakeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(dir); err != nil {
		return err
	}
	if err := fsys.SyncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
