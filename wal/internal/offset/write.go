package offset

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
)

// Replace puts a state in place of a consumer's offset file in a log's directory. If it is killed
// at any point, the old state or the new one is there. It also removes a rewrite that was
// interrupted; unite that with the state first.
func Replace(fsys disk.FS, dir, consumer string, st *State, log uint64) error {
	path := filepath.Join(dir, files.OffsetName(consumer))
	if err := Write(fsys, path, st, log); err != nil {
		return err
	}
	if err := fsys.Remove(path + files.RewriteSuffix); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return fsys.SyncDir(dir)
}

// Write puts a state into a file: it writes a new file, syncs it, renames it over the old one, and
// syncs the directory.
func Write(fsys disk.FS, path string, st *State, log uint64) error {
	f, err := Create(fsys, path+files.MendSuffix, steps(st.Size()), st.Created, log)
	if err != nil {
		return err
	}
	if err = f.Fill(st, true); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		fsys.Remove(f.Path)
		return err
	}
	if err := fsys.Rename(f.Path, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}
