package disk

// Directories that survive a power cut. A new directory is a name in its parent, so the parent has
// to be synced; and if the parent is new as well, so has its own parent.

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// MakeDir makes a directory and the parents it lacks. When it returns, each of them survives a
// power cut. Each is synced in its parent before anything is made in it. So if an earlier call was
// killed half-way, at most the lowest name it made may vanish, and that name is synced again. A
// parent that this user may not read cannot be synced; that is not an error.
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
