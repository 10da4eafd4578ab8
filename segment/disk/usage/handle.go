package usage

// Handles of files that are open for writing. A file is measured after each call that may change
// its blocks.

import (
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment/disk"
)

type handle struct {
	disk.File
	fs     *FS
	file   *file
	closed bool // file.measuring guards it, because Refresh may come at any time
}

// WriteAt gives the file no new blocks where it has some. If it does after all, as some file
// systems do when they write, the next Sync shows it.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > h.file.allocated.Load() {
		defer h.measure()
	}
	return h.File.WriteAt(p, off)
}

func (h *handle) Truncate(size int64) error {
	defer h.measure()
	h.file.allocated.Store(min(h.file.allocated.Load(), size))
	return h.File.Truncate(size)
}

func (h *handle) Allocate(off, n int64) error {
	defer h.measure()
	err := h.File.Allocate(off, n)
	if allocated := h.file.allocated.Load(); err == nil && off <= allocated {
		h.file.allocated.Store(max(allocated, off+n))
	}
	return err
}

// Sync may change the blocks: some file systems choose them only when they write.
func (h *handle) Sync() error {
	defer h.measure()
	return h.File.Sync()
}

// Close measures the file a last time after its last handle is closed. Some file systems then give
// back blocks that they had taken ahead.
func (h *handle) Close() error {
	h.measure()
	err := h.close()
	f, n := h.fs, h.file
	d := f.lockDirOf(n)
	defer unlock(d)
	f.mu.Lock()
	defer f.mu.Unlock()
	n.handles = slices.DeleteFunc(n.handles, func(o *handle) bool { return o == h })
	if d == nil || len(n.handles) > 0 {
		return err
	}
	path := f.pathLocked(d, n.name)
	f.mu.Unlock()
	bytes, sizeErr := f.FS.Allocated(path)
	f.mu.Lock()
	if sizeErr == nil {
		f.addLocked(d, bytes-n.bytes)
	}
	f.untrackLocked(n)
	return err
}

func (h *handle) close() error {
	h.file.measuring.Lock()
	defer h.file.measuring.Unlock()
	h.closed = true
	return h.File.Close()
}

// lockDirOf takes namesMu of the directory that a file is in, even if it is moved meanwhile. It is
// nil if the file was removed.
func (f *FS) lockDirOf(n *file) *dir {
	for {
		f.mu.Lock()
		d := n.dir
		f.mu.Unlock()
		if d == nil {
			return nil
		}
		d.namesMu.Lock()
		f.mu.Lock()
		still := n.dir == d
		f.mu.Unlock()
		if still {
			return d
		}
		d.namesMu.Unlock()
	}
}

// measure asks how many blocks the file has. It does nothing once the handle is closed.
func (h *handle) measure() {
	n := h.file
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
	h.fs.addLocked(n.dir, bytes-n.bytes)
	n.bytes = bytes
}

// pathLocked returns the current path of a name in a directory.
func (f *FS) pathLocked(d *dir, name string) string {
	for ; d != nil; d = d.parent {
		name = filepath.Join(d.name, name)
	}
	return filepath.Join(f.root, name)
}
