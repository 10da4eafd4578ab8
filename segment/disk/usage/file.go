package usage

// Files open for writing: each call that may change their blocks is followed by a measuring.

import (
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment/disk"
)

type file struct {
	disk.File
	fs     *FS
	node   *node
	closed bool // node.measuring guards it: whoever measures all files may come any time
}

// WriteAt where there are blocks gives the file no others, or the next Sync will tell.
func (h *file) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > h.node.solid.Load() {
		defer h.measure()
	}
	return h.File.WriteAt(p, off)
}

func (h *file) Truncate(size int64) error {
	defer h.measure()
	h.node.solid.Store(min(h.node.solid.Load(), size))
	return h.File.Truncate(size)
}

func (h *file) Allocate(off, n int64) error {
	defer h.measure()
	err := h.File.Allocate(off, n)
	if solid := h.node.solid.Load(); err == nil && off <= solid {
		h.node.solid.Store(max(solid, off+n))
	}
	return err
}

// Sync may change the blocks: where they are is decided as they are written.
func (h *file) Sync() error {
	defer h.measure()
	return h.File.Sync()
}

// Close measures a last time when the file is closed for good: some file systems give back then what
// they took ahead.
func (h *file) Close() error {
	h.measure()
	err := h.close()
	f, n := h.fs, h.node
	d := f.lockHome(n)
	defer unlock(d)
	f.mu.Lock()
	defer f.mu.Unlock()
	n.by = slices.DeleteFunc(n.by, func(o *file) bool { return o == h })
	if d == nil || len(n.by) > 0 {
		return err
	}
	path := f.path(d, n.name)
	f.mu.Unlock()
	bytes, sizeErr := f.FS.Allocated(path)
	f.mu.Lock()
	if sizeErr == nil {
		f.add(d, bytes-n.bytes)
	}
	f.uncount(n)
	return err
}

func (h *file) close() error {
	h.node.measuring.Lock()
	defer h.node.measuring.Unlock()
	h.closed = true
	return h.File.Close()
}

// lockHome takes the lock of the directory that a file is in, wherever it is moved meanwhile; nil when it
// was removed.
func (f *FS) lockHome(n *node) *dir {
	for {
		f.mu.Lock()
		d := n.dir
		f.mu.Unlock()
		if d == nil {
			return nil
		}
		d.names.Lock()
		f.mu.Lock()
		still := n.dir == d
		f.mu.Unlock()
		if still {
			return d
		}
		d.names.Unlock()
	}
}

// measure asks how many blocks the file has. Of one that is closed it learns nothing.
func (h *file) measure() {
	n := h.node
	n.measuring.Lock()
	defer n.measuring.Unlock()
	if h.closed {
		return
	}
	bytes, err := h.File.Allocated()
	if err != nil {
		return
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.fs.add(n.dir, bytes-n.bytes)
	n.bytes = bytes
}

// path is where a file is now. FS.mu is held.
func (f *FS) path(d *dir, name string) string {
	for ; d != nil; d = d.parent {
		name = filepath.Join(d.name, name)
	}
	return filepath.Join(f.root, name)
}
