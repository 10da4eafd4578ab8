// Package usage is a file system that always knows how much disk each directory under a root takes,
// to the block. Once writing has stopped, its figures are those of du.
//
// It watches the calls that pass through it, so the figures cost no walk. A file that is open for
// writing is measured after every call that may change its blocks; any other file is measured
// before it is removed or renamed. What was there before is measured when its directory is listed:
// by a ReadDir that is wanted anyway, or by [FS.Walk].
//
// Sizes are asked of the file system and never computed. It alone knows how large a block is,
// whether files share one, how many blocks record where the others are, and what a directory takes.
// The size of a file may still change while the system writes it back. [FS.Refresh] measures open
// files again; sync a file before closing it.
package usage

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/darner/darner/segment/disk"
)

// FS counts what the FS below it does under a root. A file that was removed while open does not
// count, and du does not count it either. Changes made by others show when their directory is
// listed.
type FS struct {
	disk.FS
	root  string
	total atomic.Int64

	mu   sync.Mutex // never held during a call to the file system
	top  *dir
	open map[*file]struct{}
}

// New counts what is under root. At first nothing is known of it.
func New(fsys disk.FS, root string) *FS {
	return &FS{FS: fsys, root: filepath.Clean(root), top: &dir{}, open: make(map[*file]struct{})}
}

// dir is a directory. FS.mu guards all but namesMu.
type dir struct {
	parent *dir // nil for the root, and once the directory is gone
	name   string
	subs   map[string]*dir  // complete once the directory is known
	files  map[string]*file // those open for writing
	known  bool             // it was listed or made; until then, its bytes are 0
	bytes  int64            // taken by itself and its files, without its subdirectories
	own    int64            // taken by itself

	// namesMu is held during every call that changes the directory's names, as in the kernel, and
	// while they are listed. So each name is counted once. It is taken before file.measuring.
	namesMu sync.Mutex
}

// file is a file that is open for writing.
type file struct {
	// measuring is held while the file is measured and the result is entered, so that the latest
	// result counts. It is taken before FS.mu.
	measuring sync.Mutex
	allocated atomic.Int64 // every byte below this offset was given a block

	// FS.mu guards the rest.
	dir     *dir // nil once the file is removed
	name    string
	bytes   int64
	handles []*handle
}

// Total returns the bytes that all known directories take.
func (f *FS) Total() int64 { return f.total.Load() }

// Used returns the bytes that a directory takes, without its subdirectories. It is 0 for a
// directory that is not known.
func (f *FS) Used(name string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.findLocked(name); d != nil {
		return d.bytes
	}
	return 0
}

// Refresh measures again every file that is open for writing.
func (f *FS) Refresh() {
	f.mu.Lock()
	all := make([]*handle, 0, len(f.open))
	for n := range f.open {
		all = append(all, n.handles...)
	}
	f.mu.Unlock()
	for _, h := range all {
		h.measure()
	}
}

// RefreshDir measures again every file of one directory that is open for writing.
func (f *FS) RefreshDir(name string) {
	f.mu.Lock()
	var all []*handle
	if d := f.findLocked(name); d != nil {
		for _, n := range d.files {
			all = append(all, n.handles...)
		}
	}
	f.mu.Unlock()
	for _, h := range all {
		h.measure()
	}
}

// Walk lists all directories that are not known yet. It returns the error of ctx when that is done.
func (f *FS) Walk(ctx context.Context) error { return f.walk(ctx, f.root) }

func (f *FS) walk(ctx context.Context, name string) error {
	if !f.isKnown(name) {
		if _, err := f.ReadDir(name); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
	}
	for _, sub := range f.subsOf(name) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.walk(ctx, filepath.Join(name, sub)); err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) isKnown(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.findLocked(name)
	return d != nil && d.known
}

func (f *FS) subsOf(name string) (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.findLocked(name); d != nil {
		for sub := range d.subs {
			names = append(names, sub)
		}
	}
	return names
}

// addLocked changes what a directory takes. A directory that is not known keeps 0: listing it will
// find what it has.
func (f *FS) addLocked(d *dir, bytes int64) {
	if d != nil && d.known {
		d.bytes += bytes
		f.total.Add(bytes)
	}
}

// parts splits a path below the root. It is false for a path outside.
func (f *FS) parts(name string) ([]string, bool) {
	name = filepath.Clean(name)
	if name == f.root {
		return nil, true
	}
	rest, ok := strings.CutPrefix(name, f.root+string(filepath.Separator))
	if !ok {
		return nil, false
	}
	return strings.Split(rest, string(filepath.Separator)), true
}

// findLocked returns a directory, or nil if no call has named it yet.
func (f *FS) findLocked(name string) *dir {
	parts, ok := f.parts(name)
	if !ok {
		return nil
	}
	d := f.top
	for _, p := range parts {
		if d = d.subs[p]; d == nil {
			return nil
		}
	}
	return d
}

// findOrAddLocked returns a directory and enters it if it is new. It is nil outside of the root.
func (f *FS) findOrAddLocked(name string) *dir {
	parts, ok := f.parts(name)
	if !ok {
		return nil
	}
	d := f.top
	for _, p := range parts {
		d = d.subLocked(p)
	}
	return d
}

// subLocked returns the subdirectory of a name and enters it if it is new.
func (d *dir) subLocked(name string) *dir {
	s := d.subs[name]
	if s == nil {
		if d.subs == nil {
			d.subs = make(map[string]*dir)
		}
		s = &dir{parent: d, name: name}
		d.subs[name] = s
	}
	return s
}

// forgetLocked forgets a directory and all below it.
func (f *FS) forgetLocked(d *dir) {
	f.addLocked(d, -d.bytes)
	d.known = false
	for _, s := range d.subs {
		f.forgetLocked(s)
	}
	if d.parent != nil {
		delete(d.parent.subs, d.name)
		d.parent = nil
	}
}

// Volume returns the file system's volume. Each Sync of it is followed by a Refresh.
func (f *FS) Volume(file string) (disk.Volume, error) {
	v, err := f.FS.Volume(file)
	if err != nil {
		return nil, err
	}
	return volume{v, f}, nil
}

type volume struct {
	disk.Volume
	fs *FS
}

// Sync may change the blocks of all files, like handle.Sync those of one.
func (v volume) Sync() error {
	defer v.fs.Refresh()
	return v.Volume.Sync()
}
