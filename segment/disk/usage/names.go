package usage

// The calls that make, remove, rename and list names.

import (
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment/disk"
)

// lockDir takes the namesMu of a directory. It returns nil outside of the root.
func (f *FS) lockDir(name string) *dir {
	for {
		f.mu.Lock()
		d := f.findOrAddLocked(name)
		f.mu.Unlock()
		if d == nil {
			return nil
		}
		d.namesMu.Lock()
		if f.isAt(d, name) {
			return d
		}
		d.namesMu.Unlock() // the directory was moved meanwhile
	}
}

// lockFor takes the locks that a change of some names needs: those of the directories that the
// names are in, and the own lock of each name that is a directory, so that nobody makes a file in
// one that is about to go.
func (f *FS) lockFor(names ...string) (unlock func()) {
	for {
		paths := f.pathsToLock(names)
		unlock = f.lockAll(paths...)
		if slices.Equal(paths, f.pathsToLock(names)) {
			return unlock
		}
		unlock() // a directory was made or moved meanwhile
	}
}

// lockAll takes the locks of several directories. It waits for a lock only while it holds none:
// because directories move, there is no order that all callers could keep to.
func (f *FS) lockAll(paths ...string) (unlock func()) {
	for {
		locked, busy := f.tryAll(paths)
		unlock = func() {
			for _, d := range locked {
				d.namesMu.Unlock()
			}
		}
		if busy == nil {
			return unlock
		}
		unlock()
		busy.waitUnlocked()
	}
}

// tryAll takes locks until it meets one that somebody else has.
func (f *FS) tryAll(paths []string) (locked []*dir, busy *dir) {
	for _, path := range paths {
		f.mu.Lock()
		d := f.findOrAddLocked(path)
		f.mu.Unlock()
		if d == nil {
			continue // outside of the root
		}
		if !d.namesMu.TryLock() {
			return locked, d
		}
		if !f.isAt(d, path) { // the directory was moved meanwhile
			d.namesMu.Unlock()
			return locked, d
		}
		locked = append(locked, d)
	}
	return locked, nil
}

// waitUnlocked returns when the lock was free for a moment.
func (d *dir) waitUnlocked() {
	d.namesMu.Lock()
	defer d.namesMu.Unlock()
}

// pathsToLock returns the directories to lock for a change of some names, sorted.
func (f *FS) pathsToLock(names []string) (paths []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		paths = append(paths, filepath.Dir(name))
		if f.findLocked(name) != nil {
			paths = append(paths, filepath.Clean(name))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func unlock(d *dir) {
	if d != nil {
		d.namesMu.Unlock()
	}
}

func (f *FS) isAt(d *dir, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.findLocked(name) == d
}

// setOwnLocked notes what a directory itself takes now. A negative size means not known.
func (f *FS) setOwnLocked(d *dir, own int64) {
	if d != nil && own >= 0 {
		f.addLocked(d, own-d.own)
		d.own = own
	}
}

// sizeOf returns what a name takes, 0 if it is not there.
func (f *FS) sizeOf(name string) int64 {
	bytes, err := f.FS.Allocated(name)
	if err != nil {
		return 0
	}
	return bytes
}

// sizeOfDir returns what a directory itself takes, negative if that is not known.
func (f *FS) sizeOfDir(name string) int64 {
	bytes, err := f.FS.Allocated(name)
	if err != nil {
		return -1
	}
	return bytes
}

func (f *FS) Create(name string) (disk.File, error) { return f.openWith(f.FS.Create, name, true) }

func (f *FS) Open(name string) (disk.File, error) { return f.openWith(f.FS.Open, name, false) }

// openWith opens a file for writing. Only a fresh file adds to what its directory takes: one that
// was there is counted already.
func (f *FS) openWith(
	open func(string) (disk.File, error), name string, fresh bool,
) (disk.File, error) {
	parent := filepath.Dir(name)
	d := f.lockDir(parent)
	if d == nil {
		return open(name)
	}
	defer unlock(d)
	in, err := open(name)
	var bytes int64
	if err == nil {
		bytes, _ = in.Allocated()
	}
	own := f.sizeOfDir(parent)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setOwnLocked(d, own)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(name)
	n := d.files[base]
	if n == nil {
		n = &file{bytes: bytes}
		f.trackLocked(n, d, base)
		if fresh {
			f.addLocked(d, bytes)
		}
	}
	h := &handle{File: in, fs: f, file: n}
	n.handles = append(n.handles, h)
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

// mkdir makes one directory. Everything is known of a new directory, because its lock keeps others
// from making files in it before it is entered.
func (f *FS) mkdir(name string) error {
	parent := filepath.Dir(name)
	if there, err := f.mkdirExisting(parent, name); there {
		return err
	}
	defer f.lockAll(parent, name)()
	_, err := f.FS.Allocated(name)
	fresh := err != nil
	if err := f.FS.Mkdir(name); err != nil {
		f.forgetUnknown(name)
		return err
	}
	ownAbove, own := f.sizeOfDir(parent), f.sizeOf(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setOwnLocked(f.findLocked(parent), ownAbove)
	if d := f.findLocked(name); fresh && !d.known {
		d.known, d.own, d.bytes = true, own, own
		f.total.Add(own)
	}
	return nil
}

// mkdirExisting is mkdir of a name that exists already. The file system decides what to answer,
// because the name may be a file's.
func (f *FS) mkdirExisting(parent, name string) (there bool, err error) {
	defer f.lockAll(parent)()
	if _, err := f.FS.Allocated(name); err != nil {
		return false, nil
	}
	return true, f.FS.Mkdir(name)
}

// forgetUnknown forgets a directory that was entered and turned out not to exist. The caller holds
// its namesMu.
func (f *FS) forgetUnknown(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.findLocked(name); d != nil && !d.known && len(d.subs)+len(d.files) == 0 {
		f.forgetLocked(d)
	}
}

func (f *FS) Remove(name string) error {
	defer f.lockFor(name)()
	parent := filepath.Dir(name)
	bytes := f.sizeOf(name)
	if err := f.FS.Remove(name); err != nil {
		return err
	}
	own := f.sizeOfDir(parent)
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.findLocked(parent); d != nil {
		f.setOwnLocked(d, own)
		f.removeLocked(d, filepath.Base(name), bytes)
	}
	return nil
}

// removeLocked takes a name out of a directory. bytes is its size if it is a file that nobody
// writes to.
func (f *FS) removeLocked(d *dir, name string, bytes int64) {
	if s := d.subs[name]; s != nil {
		f.forgetLocked(s)
	} else if n := d.files[name]; n != nil {
		f.addLocked(d, -n.bytes)
		f.untrackLocked(n)
	} else {
		f.addLocked(d, -bytes)
	}
}

// trackLocked enters a file that is open for writing in a directory.
func (f *FS) trackLocked(n *file, d *dir, name string) {
	n.dir, n.name = d, name
	if d.files == nil {
		d.files = make(map[string]*file)
	}
	d.files[name] = n
	f.open[n] = struct{}{}
}

// untrackLocked ends that. The directory's bytes stay: from now on the file counts like any other.
func (f *FS) untrackLocked(n *file) {
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
	defer f.lockFor(from, to)()
	bytes, replaced := f.sizeOf(from), f.sizeOf(to)
	if err := f.FS.Rename(from, to); err != nil {
		return err
	}
	ownSource, ownTarget := f.sizeOfDir(filepath.Dir(from)), f.sizeOfDir(filepath.Dir(to))
	f.mu.Lock()
	defer f.mu.Unlock()
	source, target := f.findLocked(filepath.Dir(from)), f.findLocked(filepath.Dir(to))
	f.setOwnLocked(source, ownSource)
	f.setOwnLocked(target, ownTarget)
	if target != nil {
		f.removeLocked(target, filepath.Base(to), replaced)
	}
	f.moveLocked(source, filepath.Base(from), target, filepath.Base(to), bytes)
	return nil
}

// moveLocked moves a name from one directory to another. Either directory is nil outside of the
// root. bytes is the size of a file that nobody writes to.
func (f *FS) moveLocked(source *dir, from string, target *dir, to string, bytes int64) {
	if source == nil || target == nil {
		if source != nil {
			f.removeLocked(source, from, bytes)
		}
		if target != nil {
			target.known = false // listing it will show what came
			f.total.Add(-target.bytes)
			target.bytes, target.own = 0, 0
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
	if n != nil {
		bytes = n.bytes
		f.untrackLocked(n)
		f.trackLocked(n, target, to)
	}
	f.addLocked(source, -bytes)
	f.addLocked(target, bytes)
}

// ReadDir lists a directory and measures it again.
func (f *FS) ReadDir(name string) ([]disk.Entry, error) {
	d := f.lockDir(name)
	if d == nil {
		return f.FS.ReadDir(name)
	}
	defer unlock(d)
	entries, err := f.FS.ReadDir(name)
	if err != nil {
		f.forgetUnknown(name)
		return nil, err
	}
	if own := f.sizeOfDir(name); own >= 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.setListingLocked(d, entries, own)
	}
	return entries, nil
}

// setListingLocked takes a directory's bytes from a listing, except those of files that are open
// for writing: these are measured more often.
func (f *FS) setListingLocked(d *dir, entries []disk.Entry, own int64) {
	bytes := own
	for _, n := range d.files {
		bytes += n.bytes
	}
	for _, e := range entries {
		if e.Dir {
			d.subLocked(e.Name)
		} else if d.files[e.Name] == nil {
			bytes += e.Allocated
		}
	}
	d.known, d.own = true, own
	f.total.Add(bytes - d.bytes)
	d.bytes = bytes
}
