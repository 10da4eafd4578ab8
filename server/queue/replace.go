package queue

// Small files of the data directory: what the server has to know at its next start.

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
)

// replaceFile gives a file of a directory a new content, durably: after a crash it has the old one
// or the new one.
func replaceFile(fsys disk.FS, dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	fresh := path + datadir.NewSuffix
	if err := fsys.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(fresh)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(fresh, path)
	}
	if err != nil {
		fsys.Remove(fresh)
		return err
	}
	return fsys.SyncDir(dir)
}

// readFile returns what replaceFile wrote, up to most bytes; nil if there is no such file.
func readFile(fsys disk.FS, dir, name string, most int) ([]byte, error) {
	f, err := fsys.OpenRead(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, most)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}
