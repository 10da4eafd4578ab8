package disktest

// Directories. A directory has its names twice: as the process sees them and as the disk has them.
// The journal holds the changes in between, in order.

import (
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/darner/darner/segment/disk"
)

// change is one creation, removal or rename, of one name or two. It gets to the disk as a whole or
// not at all.
type change []set

// set is the new meaning of a name. A nil node means that the name is gone.
type set struct {
	entry
	node *node
}

// entry is a name in a directory. The directory may be renamed meanwhile.
type entry struct {
	dir  *node
	name string
}

func (c change) touchesAny(entries map[entry]bool) bool {
	return slices.ContainsFunc(c, func(s set) bool { return entries[s.entry] })
}

func (c change) mark(entries map[entry]bool) {
	for _, s := range c {
		entries[s.entry] = true
	}
}

// apply makes the change in names, which returns one of a directory's two views.
func (c change) apply(names func(*node) map[string]*node) {
	for _, s := range c {
		if s.node == nil {
			delete(names(s.dir), s.name)
		} else {
			names(s.dir)[s.name] = s.node
		}
	}
}

func live(n *node) map[string]*node    { return n.live }
func durable(n *node) map[string]*node { return n.durable }

// change makes a change visible. It becomes durable later.
func (f *FS) change(c ...set) {
	for _, s := range c {
		if old := s.dir.live[s.name]; old != nil {
			old.links--
			f.release(old)
		}
		if s.node != nil {
			s.node.links++
		}
	}
	change(c).apply(live)
	f.journal = append(f.journal, c)
}

// commit makes the changes of names in dir durable, and earlier changes that touched the same
// names, because the history of a name has no gaps.
func (f *FS) commit(dir *node) {
	touched := map[entry]bool{}
	var taken, rest []change
	for _, c := range slices.Backward(f.journal) {
		inDir := slices.ContainsFunc(c, func(s set) bool { return s.dir == dir })
		if inDir || c.touchesAny(touched) {
			c.mark(touched)
			taken = append(taken, c)
		} else {
			rest = append(rest, c)
		}
	}
	for _, c := range slices.Backward(taken) {
		c.apply(durable)
	}
	slices.Reverse(rest)
	f.journal = rest
}

func split(name string) []string {
	return strings.FieldsFunc(path.Clean("/"+name), func(r rune) bool { return r == '/' })
}

// lookup finds a file or directory.
func (f *FS) lookup(name string) (*node, error) { return f.walk(split(name)) }

func (f *FS) walk(parts []string) (*node, error) {
	n := f.root
	for _, p := range parts {
		if !n.dir() {
			return nil, syscall.ENOTDIR
		}
		if n = n.live[p]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// lookupDir finds a directory.
func (f *FS) lookupDir(name string) (*node, error) {
	n, err := f.lookup(name)
	if err == nil && !n.dir() {
		err = syscall.ENOTDIR
	}
	return n, err
}

// place returns the entry that a name is or would be, and what is there, nil for nothing.
func (f *FS) place(name string) (entry, *node, error) {
	parts := split(name)
	if len(parts) == 0 {
		return entry{}, nil, syscall.EBUSY // the root can be neither made nor moved
	}
	last := len(parts) - 1
	dir, err := f.walk(parts[:last])
	if err == nil && !dir.dir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return entry{}, nil, err
	}
	return entry{dir, parts[last]}, dir.live[parts[last]], nil
}

func (f *FS) create(name string) (*node, error) {
	at, old, err := f.place(name)
	switch {
	case err != nil:
		return nil, err
	case old != nil:
		return nil, syscall.EEXIST
	case f.full(1):
		return nil, syscall.ENOSPC
	}
	n := &node{}
	f.change(set{at, n})
	return n, nil
}

func (f *FS) ReadDir(dir string) ([]disk.Entry, error) {
	if err := f.ask(OpReadDir, dir); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookupDir(dir)
	if err != nil {
		return nil, wrap(OpReadDir, dir, err)
	}
	entries := make([]disk.Entry, 0, len(n.live))
	for _, name := range slices.Sorted(maps.Keys(n.live)) {
		child := n.live[name]
		entries = append(entries, disk.Entry{
			Name: name, Size: child.size, Dir: child.dir(),
			Allocated: child.allocated() * blockSize,
		})
	}
	return entries, nil
}

// Allocated returns one block for a directory, which Used does not count. It does not ask the hook,
// because it only observes.
func (f *FS) Allocated(name string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	switch {
	case err != nil:
		return 0, wrap(OpSize, name, err)
	case n.dir():
		return blockSize, nil
	}
	return n.allocated() * blockSize, nil
}

// Free returns what SetCapacity leaves. It does not ask the hook.
func (f *FS) Free(string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.capacity < 0 {
		return math.MaxInt64, nil
	}
	return max(0, f.capacity-f.used) * blockSize, nil
}

func (f *FS) Mkdir(dir string) error {
	if err := f.ask(OpMkdir, dir); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return wrap(OpMkdir, dir, f.mkdirAll(split(dir)))
}

func (f *FS) mkdirAll(parts []string) error {
	n := f.root
	for _, p := range parts {
		next := n.live[p]
		switch {
		case next == nil && f.full(1):
			return syscall.ENOSPC
		case next == nil:
			next = newDir()
			f.change(set{entry{n, p}, next})
		case !next.dir():
			return syscall.ENOTDIR
		}
		n = next
	}
	return nil
}

func (f *FS) Rename(from, to string) error {
	if err := f.ask(OpRename, from); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return wrap(OpRename, from+" to "+to, f.rename(from, to))
}

func (f *FS) rename(from, to string) error {
	source, n, err := f.place(from)
	if err != nil {
		return err
	}
	target, old, err := f.place(to)
	switch {
	case err != nil:
		return err
	case n == nil:
		return syscall.ENOENT
	case n == old && source == target:
		return nil
	case old != nil && old.dir():
		return syscall.EEXIST
	case old != nil && n.dir():
		return syscall.ENOTDIR
	case n.dir() && n.contains(target.dir):
		return syscall.EINVAL
	}
	f.change(set{target, n}, set{source, nil}) // in this order, the file always has a name
	return nil
}

func (f *FS) Remove(name string) error {
	if err := f.ask(OpRemove, name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at, n, err := f.place(name)
	switch {
	case err != nil:
	case n == nil:
		err = syscall.ENOENT
	case len(n.live) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return wrap(OpRemove, name, err)
	}
	f.change(set{at, nil})
	return nil
}

func (f *FS) SyncDir(dir string) error {
	if err := f.ask(OpSyncDir, dir); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookupDir(dir)
	if err != nil {
		return wrap(OpSyncDir, dir, err)
	}
	f.commit(n)
	return nil
}
