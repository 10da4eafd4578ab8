package disktest

// What tests do to files from outside: without the hook of Fail, without a handle, and regardless
// of the capacity.

import (
	"maps"
	"slices"
	"syscall"
)

// ReadFile returns a copy of a file's content.
func (f *FS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err == nil && n.dir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, wrap("read file", name, err)
	}
	return n.content(), nil
}

// WriteFile puts a file in place of the one that has the name, if any, and makes the directories it
// lacks. All of it is durable, as if it had been there for long.
func (f *FS) WriteFile(name string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return wrap("write file", name, f.writeFile(name, data))
}

func (f *FS) writeFile(name string, data []byte) error {
	parts := split(name)
	capacity := f.capacity
	f.capacity = -1
	defer func() { f.capacity = capacity }()
	if err := f.mkdirAll(parts[:max(0, len(parts)-1)]); err != nil {
		return err
	}
	at, old, err := f.place(name)
	if err != nil {
		return err
	}
	if old != nil && old.dir() {
		return syscall.EISDIR
	}
	n := &node{}
	f.change(set{at, n})
	if len(data) > 0 {
		f.allocate(n, 0, int64(len(data)))
		copy(n.buf, data)
	}
	n.sync()
	for i := range parts {
		dir, _ := f.walk(parts[:i])
		f.commit(dir)
	}
	return nil
}

// Names returns the names in a directory, sorted. There are none if the directory does not exist.
func (f *FS) Names(dir string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookupDir(dir)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(n.live))
}

// Corrupt flips the bits of mask in one byte of a file, both as the process sees it and on the
// disk. No crash undoes such damage.
func (f *FS) Corrupt(name string, off int64, mask byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err == nil && (n.dir() || off < 0 || off >= n.size) {
		err = syscall.EINVAL
	}
	if err != nil {
		return wrap("corrupt", name, err)
	}
	n.buf[off] ^= mask
	if off < int64(len(n.synced)) {
		n.synced[off] ^= mask
	}
	return nil
}
