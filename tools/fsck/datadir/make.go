package datadir

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
)

// Limits of a queue's name, in bytes: as clients write it, and as its directory's.
const (
	maxName = 250
	maxDir  = 255
)

// Make makes a data directory if there is none, locks it, and returns it for queues to be added to.
// While a server has the lock it is disk.ErrLocked.
func Make(fsys disk.FS, path string) (d *Dir, lock io.Closer, err error) {
	path = filepath.Clean(path)
	if err := disk.MakeDir(fsys, path); err != nil {
		return nil, nil, err
	}
	if d, err = openOrEmpty(fsys, path); err != nil {
		return nil, nil, err
	}
	if d.single {
		return nil, nil, fmt.Errorf("%s is the directory of a single queue: give the data directory above it", path)
	}
	lock, err = d.Lock()
	return d, lock, err
}

func openOrEmpty(fsys disk.FS, path string) (*Dir, error) {
	d, err := Open(fsys, path)
	if errors.Is(err, ErrNotData) {
		if entries, e := fsys.ReadDir(path); e == nil && len(entries) == 0 {
			return &Dir{Path: path, fs: fsys, root: path}, nil
		}
	}
	return d, err
}

// New returns the queue of a name, which need not be there yet.
func (d *Dir) New(name string) (Queue, error) {
	for _, c := range []byte(name) {
		if c <= ' ' || c == '/' || c == 0x7f {
			return Queue{}, fmt.Errorf("%q cannot be a queue's name: it has the byte %#02x", name, c)
		}
	}
	dir := escape(name)
	if name == "" || len(name) > maxName || len(dir) > maxDir {
		return Queue{}, fmt.Errorf("%q cannot be a queue's name: it has to have 1 to %d bytes, %d on disk", name, maxName, maxDir)
	}
	return Queue{Name: name, Path: filepath.Join(d.Path, dir)}, nil
}
