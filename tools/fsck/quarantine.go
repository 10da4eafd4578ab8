package fsck

// The quarantine: copies of damaged ranges, and whole files, each with a note of where it came
// from. Nothing in it is ever overwritten or removed.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/inspect"
)

const noteSuffix = ".note"

// keep copies a range of a file, under the name that the server would use, unless it is there
// already.
func (r *repair) keep(file string, from, to int64, why string) error {
	dir := r.dir.Quarantine(r.q)
	path := filepath.Join(dir, fmt.Sprintf("%s@%d-%d", file, from, to))
	if r.exists(path, to-from) {
		return nil
	}
	if err := r.makeQuarantine(); err != nil {
		return err
	}
	in, err := r.o.FS.OpenRead(r.path(file))
	if err != nil {
		return err
	}
	defer in.Close()
	if err := r.note(path, file, from, to, why); err != nil {
		return err
	}
	return r.create(path, io.NewSectionReader(in, from, to-from))
}

// exists reports whether a file of this size is there.
func (r *repair) exists(path string, size int64) bool {
	f, err := r.o.FS.OpenRead(path)
	if err != nil {
		return false
	}
	defer f.Close()
	n, err := f.Size()
	return err == nil && n == size
}

// note writes down where a file of the quarantine came from.
func (r *repair) note(path, file string, from, to int64, why string) error {
	text := fmt.Sprintf("queue: %s\nfile:  %s\nbytes: %d to %d\nwhen:  %s\nwhy:   %s\n",
		r.q.Name, file, from, to, time.Now().UTC().Format(time.RFC3339), why)
	return r.create(path+noteSuffix, strings.NewReader(text))
}

// create makes a file with the content of a reader.
func (r *repair) create(path string, from io.Reader) error {
	return r.replace(path, func(fresh string) error {
		out, err := r.o.FS.Create(fresh)
		if err != nil {
			return err
		}
		return errors.Join(fill(out, from), out.Close())
	})
}

// replace makes a file at path, in place of one that may be there. write writes and syncs it under
// another name, which the server ignores. Then it is renamed, so that path never has part of it.
func (r *repair) replace(path string, write func(fresh string) error) error {
	fresh := path + inspect.MendSuffix
	if err := r.o.FS.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := write(fresh); err != nil {
		r.o.FS.Remove(fresh)
		return err
	}
	if err := r.o.FS.Rename(fresh, path); err != nil {
		return err
	}
	return r.o.FS.SyncDir(filepath.Dir(path))
}

func fill(out disk.File, from io.Reader) error {
	if _, err := io.Copy(io.NewOffsetWriter(out, 0), from); err != nil {
		return err
	}
	return out.Sync()
}

// moveAside moves a whole file of the queue to the quarantine.
func (r *repair) moveAside(f inspect.FileInfo, why string) error {
	dir := r.dir.Quarantine(r.q)
	if err := r.makeQuarantine(); err != nil {
		return err
	}
	to, err := r.freeName(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	if err := r.note(to, f.Name, 0, f.Size, why); err != nil {
		return err
	}
	if err := r.o.FS.Rename(r.e.in.Path(f), to); err != nil {
		return err
	}
	return errors.Join(r.o.FS.SyncDir(dir), r.o.FS.SyncDir(r.q.Path))
}

// makeQuarantine makes the queue's directory in the quarantine, and syncs it.
func (r *repair) makeQuarantine() error {
	if r.quarantined {
		return nil
	}
	if err := disk.MakeDir(r.o.FS, r.dir.Quarantine(r.q)); err != nil {
		return err
	}
	r.quarantined = true
	return nil
}

// freeName returns a name in the quarantine that is not in use.
func (r *repair) freeName(path string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s@%d", path, n)
		f, err := r.o.FS.OpenRead(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		f.Close()
	}
}
