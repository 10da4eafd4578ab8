package usage

// The calls that change which files there are.

import (
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment/disk"
)

// lock takes a directory's lock; nil outside of the root.
func (f *FS) lock(name string) *dir {
	for {
		f.mu.Lock()
		d := f.meet(name)
		f.mu.Unlock()
		if d == nil {
			return nil
		}
		d.names.Lock()
		if f.is(d, name) {
			return d
		}
		d.names.Unlock() // it was moved meanwhile
	}
}

// lockAround takes the locks of the directories that names are in and, of what is a directory itself, its own:
// nobody is to make a file in one that goes.
func (f *FS) lockAround(names ...string) (unlock func()) {
	for {
		around := f.around(names)
		unlock = f.lockAll(around...)
		if slices.Equal(around, f.around(names)) {
			return unlock
		}
		unlock() // a directory was made or moved meanwhile
	}
}

// lockAll takes the locks of several directories. It waits for one only while it has none: directories move,
// so that there is no order which all could keep to.
func (f *FS) lockAll(paths ...string) (unlock func()) {
	for {
		locked, busy := f.tryAll(paths)
		unlock = func() {
			for _, d := range locked {
				d.names.Unlock()
			}
		}
		if busy == nil {
			return unlock
		}
		unlock()
		busy.await()
	}
}

// tryAll takes the locks up to the first that somebody has.
func (f *FS) tryAll(paths []string) (locked []*dir, busy *dir) {
	for _, path := range paths {
		f.mu.Lock()
		d := f.meet(path)
		f.mu.Unlock()
		if d == nil {
			continue // outside of the root
		}
		if !d.names.TryLock() {
			return locked, d
		}
		if !f.is(d, path) { // it was moved meanwhile
			d.names.Unlock()
			return locked, d
		}
		locked = append(locked, d)
	}
	return locked, nil
}

// await returns when nobody has had the lock for a moment.
func (d *dir) await() {
	d.names.Lock()
	defer d.names.Unlock()
}

func (f *FS) around(names []string) (paths []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		paths = append(paths, filepath.Dir(name))
		if f.find(name) != nil {
			paths = append(paths, filepath.Clean(name))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func unlock(d *dir) {
	if d != nil {
		d.names.Unlock()
	}
}

func (f *FS) is(d *dir, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(name) == d
}

// resize notes what a directory itself takes now; negative when it did not tell. FS.mu is held.
func (f *FS) resize(d *dir, self int64) {
	if d != nil && self >= 0 {
		f.add(d, self-d.self)
		d.self = self
	}
}

// size is what a name takes, 0 when it is not there.
func (f *FS) size(name string) int64 {
	bytes, err := f.FS.Allocated(name)
	if err != nil {
		return 0
	}
	return bytes
}

// sizeOfDir is what a directory itself takes, negative when it does not tell.
func (f *FS) sizeOfDir(name string) int64 {
	bytes, err := f.FS.Allocated(name)
	if err != nil {
		return -1
	}
	return bytes
}

func (f *FS) Create(name string) (disk.File, error) { return f.enter(name, f.FS.Create, true) }

func (f *FS) Open(name string) (disk.File, error) { return f.enter(name, f.FS.Open, false) }

// enter opens a file for writing; one that was there is counted already.
func (f *FS) enter(name string, open func(string) (disk.File, error), fresh bool) (disk.File, error) {
	parent := filepath.Dir(name)
	d := f.lock(parent)
	if d == nil {
		return open(name)
	}
	defer unlock(d)
	in, err := open(name)
	var bytes int64
	if err == nil {
		bytes, _ = in.Allocated()
	}
	self := f.sizeOfDir(parent)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resize(d, self)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(name)
	n := d.files[base]
	if n == nil {
		n = &node{dir: d, name: base, bytes: bytes}
		if d.files == nil {
			d.files = make(map[string]*node)
		}
		d.files[base] = n
		f.open[n] = struct{}{}
		if fresh {
			f.add(d, bytes)
		}
	}
	h := &file{File: in, fs: f, node: n}
	n.by = append(n.by, h)
	return h, nil
}

func (f *FS) Mkdir(name string) error {
	parts, ok := f.parts(name)
	if !ok {
		return f.FS.Mkdir(name)
	}
	path := f.root
	if err := f.mkdir(path); err != nil {
		return err
	}
	for _, p := range parts {
		path = filepath.Join(path, p)
		if err := f.mkdir(path); err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes one directory; of one that was not there all is known, as nobody makes a file in it before.
func (f *FS) mkdir(name string) error {
	parent := filepath.Dir(name)
	if there, err := f.mkdirThere(parent, name); there {
		return err
	}
	defer f.lockAll(parent, name)()
	_, err := f.FS.Allocated(name)
	fresh := err != nil
	if err := f.FS.Mkdir(name); err != nil {
		f.metInVain(name)
		return err
	}
	selfAbove, self := f.sizeOfDir(parent), f.size(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resize(f.find(parent), selfAbove)
	if d := f.find(name); fresh && !d.known {
		d.known, d.self, d.bytes = true, self, self
		f.total.Add(self)
	}
	return nil
}

// metInVain forgets a directory that turned out not to be there. Its lock is held.
func (f *FS) metInVain(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.find(name); d != nil && !d.known && len(d.subs)+len(d.files) == 0 {
		f.drop(d)
	}
}

// mkdirThere is mkdir of a name that is there, which the file system has the say about: it may be a file.
func (f *FS) mkdirThere(parent, name string) (there bool, err error) {
	defer f.lockAll(parent)()
	if _, err := f.FS.Allocated(name); err != nil {
		return false, nil
	}
	return true, f.FS.Mkdir(name)
}

func (f *FS) Remove(name string) error {
	defer f.lockAround(name)()
	parent := filepath.Dir(name)
	bytes := f.size(name)
	if err := f.FS.Remove(name); err != nil {
		return err
	}
	self := f.sizeOfDir(parent)
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.find(parent); d != nil {
		f.resize(d, self)
		f.lose(d, filepath.Base(name), bytes)
	}
	return nil
}

// lose takes a name out of a directory; bytes is what it takes if it is a file nobody writes to.
func (f *FS) lose(d *dir, name string, bytes int64) {
	if s := d.subs[name]; s != nil {
		f.drop(s)
	} else if n := d.files[name]; n != nil {
		f.detach(n)
	} else {
		f.add(d, -bytes)
	}
}

// detach takes a file that is open out of its directory.
func (f *FS) detach(n *node) {
	f.add(n.dir, -n.bytes)
	f.uncount(n)
}

// uncount leaves a file to be counted as one of its directory that nobody writes to.
func (f *FS) uncount(n *node) {
	delete(n.dir.files, n.name)
	if len(n.dir.files) == 0 {
		n.dir.files = nil
	}
	n.dir = nil
	delete(f.open, n)
}

func (f *FS) Rename(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	if from == to {
		return f.FS.Rename(from, to)
	}
	defer f.lockAround(from, to)()
	bytes, replaced := f.size(from), f.size(to)
	if err := f.FS.Rename(from, to); err != nil {
		return err
	}
	selfSource, selfTarget := f.sizeOfDir(filepath.Dir(from)), f.sizeOfDir(filepath.Dir(to))
	f.mu.Lock()
	defer f.mu.Unlock()
	source, target := f.find(filepath.Dir(from)), f.find(filepath.Dir(to))
	f.resize(source, selfSource)
	f.resize(target, selfTarget)
	if target != nil {
		f.lose(target, filepath.Base(to), replaced)
	}
	f.move(source, filepath.Base(from), target, filepath.Base(to), bytes)
	return nil
}

// move gives a name in one directory, or what is open under it, another in another; either directory may
// be nil, outside of the root.
func (f *FS) move(source *dir, from string, target *dir, to string, bytes int64) {
	if source == nil || target == nil {
		if source != nil {
			f.lose(source, from, bytes)
		}
		if target != nil {
			target.known = false // listing it will tell what came
			f.total.Add(-target.bytes)
			target.bytes, target.self = 0, 0
		}
		return
	}
	if s := source.subs[from]; s != nil {
		delete(source.subs, from)
		if target.subs == nil {
			target.subs = make(map[string]*dir)
		}
		s.parent, s.name = target, to
		target.subs[to] = s
		return
	}
	n := source.files[from]
	if n == nil {
		f.add(source, -bytes)
		f.add(target, bytes)
		return
	}
	f.detach(n)
	n.dir, n.name = target, to
	if target.files == nil {
		target.files = make(map[string]*node)
	}
	target.files[to] = n
	f.open[n] = struct{}{}
	f.add(target, n.bytes)
}

// ReadDir lists a directory and measures it anew.
func (f *FS) ReadDir(name string) ([]disk.Entry, error) {
	d := f.lock(name)
	if d == nil {
		return f.FS.ReadDir(name)
	}
	defer unlock(d)
	entries, err := f.FS.ReadDir(name)
	if err != nil {
		f.metInVain(name)
		return nil, err
	}
	if self := f.sizeOfDir(name); self >= 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.adopt(d, entries, self)
	}
	return entries, nil
}

// adopt believes a listing: what is open is known better.
func (f *FS) adopt(d *dir, entries []disk.Entry, self int64) {
	bytes := self
	for _, n := range d.files {
		bytes += n.bytes
	}
	for _, e := range entries {
		if e.Dir {
			d.sub(e.Name)
		} else if d.files[e.Name] == nil {
			bytes += e.Allocated
		}
	}
	d.known, d.self = true, self
	f.total.Add(bytes - d.bytes)
	d.bytes = bytes
}
