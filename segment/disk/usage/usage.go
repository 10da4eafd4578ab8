// Package usage is a file system that knows at any time how much of the disk each directory under
// a root takes, to the block: what du says once things are quiet.
//
// It watches the calls that pass through it, so that the figures cost no walk: a file open for writing
// is measured after every call that may give it blocks or take some away, one that is not is measured
// before it is removed or renamed. What was there before is measured when its directory is listed,
// by a ReadDir that somebody wants anyway or by [FS.Walk].
//
// Sizes are asked of the file system and never computed: how large a block is, whether a tail shares one,
// how many blocks say where the others are, and what a directory takes is its business. A file that is
// open may change in that respect as the system writes it back; [FS.Settle] measures those again.
package usage

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/darner/darner/segment/disk"
)

// FS counts what the FS below it does under a root. Files removed while they are open do not count,
// as they do not for du. What others do there it sees when it lists the directory.
type FS struct {
	disk.FS
	root  string
	total atomic.Int64

	mu   sync.Mutex // held over no call to the file system
	top  *dir
	open map[*node]struct{}
}

// New counts what is under root, beginning with nothing known.
func New(fsys disk.FS, root string) *FS {
	return &FS{FS: fsys, root: filepath.Clean(root), top: &dir{}, open: make(map[*node]struct{})}
}

// dir is a directory: what it and the files in it take, without its subdirectories. FS.mu guards it.
type dir struct {
	parent *dir // nil for the root, and for one that is gone
	name   string
	subs   map[string]*dir  // all of them, once it is known
	files  map[string]*node // those open for writing
	known  bool             // it was listed, or made: before that its bytes are 0
	bytes  int64            // itself and its files
	self   int64            // itself

	// names is held over every call that changes which names there are, as the kernel does, and over listing
	// them: so each is counted once. Before node.measuring.
	names sync.Mutex
}

// node is a file open for writing.
type node struct {
	measuring sync.Mutex   // held over the measuring and what comes of it: the last one counts. Before FS.mu
	solid     atomic.Int64 // below, the file was given blocks

	dir   *dir // nil when it was removed. FS.mu guards all below
	name  string
	bytes int64
	by    []*file
}

// Total returns the bytes that all known directories take.
func (f *FS) Total() int64 { return f.total.Load() }

// Used returns the bytes that a directory takes, without its subdirectories; 0 when it is not known.
func (f *FS) Used(name string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.find(name); d != nil {
		return d.bytes
	}
	return 0
}

// Settle measures again what is open for writing.
func (f *FS) Settle() {
	f.mu.Lock()
	all := make([]*file, 0, len(f.open))
	for n := range f.open {
		all = append(all, n.by...)
	}
	f.mu.Unlock()
	for _, h := range all {
		h.measure()
	}
}

// SettleDir does so in one directory.
func (f *FS) SettleDir(name string) {
	f.mu.Lock()
	var all []*file
	if d := f.find(name); d != nil {
		for _, n := range d.files {
			all = append(all, n.by...)
		}
	}
	f.mu.Unlock()
	for _, h := range all {
		h.measure()
	}
}

// Walk lists all directories that are not known yet, until stop says so.
func (f *FS) Walk(stop func() bool) error { return f.walk(f.root, stop) }

func (f *FS) walk(name string, stop func() bool) error {
	if !f.isKnown(name) {
		if _, err := f.ReadDir(name); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
	}
	for _, sub := range f.subsOf(name) {
		if stop() {
			return nil
		}
		if err := f.walk(filepath.Join(name, sub), stop); err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) isKnown(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.find(name)
	return d != nil && d.known
}

func (f *FS) subsOf(name string) (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.find(name); d != nil {
		for sub := range d.subs {
			names = append(names, sub)
		}
	}
	return names
}

// add changes what a directory takes. One that is not known has nothing that could change: listing it
// will find it. FS.mu is held.
func (f *FS) add(d *dir, bytes int64) {
	if d != nil && d.known {
		d.bytes += bytes
		f.total.Add(bytes)
	}
}

// parts splits a path below the root; false for one that is not.
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

// find returns a directory, nil when it has not been met. FS.mu is held.
func (f *FS) find(name string) *dir {
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

// meet is find that enters what is missing; nil outside of the root. FS.mu is held.
func (f *FS) meet(name string) *dir {
	parts, ok := f.parts(name)
	if !ok {
		return nil
	}
	d := f.top
	for _, p := range parts {
		d = d.sub(p)
	}
	return d
}

// sub is the subdirectory of that name.
func (d *dir) sub(name string) *dir {
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

// drop forgets a directory and all below it.
func (f *FS) drop(d *dir) {
	f.add(d, -d.bytes)
	d.known = false
	for _, s := range d.subs {
		f.drop(s)
	}
	if d.parent != nil {
		delete(d.parent.subs, d.name)
		d.parent = nil
	}
}

// Whole is the file system's, and measures what is open for writing after each sync.
func (f *FS) Whole(file string) (disk.Whole, error) {
	w, err := f.FS.Whole(file)
	if err != nil {
		return nil, err
	}
	return whole{w, f}, nil
}

type whole struct {
	disk.Whole
	fs *FS
}

// Sync may change the blocks: see file.Sync.
func (w whole) Sync() error {
	defer w.fs.Settle()
	return w.Whole.Sync()
}
