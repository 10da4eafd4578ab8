package datadir

// A data directory that a tool adds queues to.

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
)

// Make makes a data directory if there is none, locks it, and returns it, so that queues can be
// added. If a server has the lock, the error is disk.ErrLocked. For ofLog, see Open.
func Make(
	fsys disk.FS, path string, ofLog func(name string) bool,
) (d *Dir, lock io.Closer, err error) {
	path = filepath.Clean(path)
	if err := disk.MakeDir(fsys, path); err != nil {
		return nil, nil, err
	}
	if d, err = openOrEmpty(fsys, path, ofLog); err != nil {
		return nil, nil, err
	}
	if d.single {
		return nil, nil, fmt.Errorf(
			"%s is the directory of a single queue: give the data directory above it", path)
	}
	lock, err = d.Lock()
	return d, lock, err
}

func openOrEmpty(fsys disk.FS, path string, ofLog func(name string) bool) (*Dir, error) {
	d, err := Open(fsys, path, ofLog)
	if errors.Is(err, ErrNotData) {
		if entries, e := fsys.ReadDir(path); e == nil && len(entries) == 0 {
			return &Dir{Path: path, fs: fsys, root: path}, nil
		}
	}
	return d, err
}

// New returns the queue of a name. The queue need not exist yet. The error is ErrName.
func (d *Dir) New(name string) (Queue, error) {
	dir, err := DirName(name)
	if err != nil {
		return Queue{}, fmt.Errorf("%q cannot be a queue's name: %w", name, err)
	}
	return Queue{Name: name, Path: filepath.Join(d.Path, dir)}, nil
}
