package wal

// The reserve: a small file that is deleted while compaction needs its space on a full disk.

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/darner/darner/segment/disk"
)

// reserve belongs to a Background. Only the compaction lane lends it.
type reserve struct {
	mu   sync.Mutex
	fs   disk.FS
	path string
	size int64
	held bool        // the file has its blocks
	lent atomic.Bool // compaction has them: items and offset files must not take them
}

// KeepReserve keeps size bytes of disk space in a file at path, for compaction to use when the disk
// is full. The file is made as soon as there is space for it. It need not survive anything.
func (b *Background) KeepReserve(fsys disk.FS, path string, size int64) {
	r := &b.reserve
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fs, r.path, r.size = fsys, path, size
	r.held = r.fill()
}

// fill makes the file anew.
func (r *reserve) fill() bool {
	if err := r.fs.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	f, err := r.fs.Create(r.path)
	if err != nil {
		return false
	}
	err = f.Allocate(0, r.size)
	if err = errors.Join(err, f.Close()); err != nil {
		r.fs.Remove(r.path)
	}
	return err == nil
}

// lend deletes the file. It is false if there is none.
func (r *reserve) lend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held || r.fs.Remove(r.path) != nil {
		return false
	}
	r.held = false
	r.lent.Store(true)
	return true
}

// takeBack ends the loan, and makes the file again if there is space.
func (r *reserve) takeBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fs != nil && !r.held {
		r.held = r.fill()
	}
	r.lent.Store(false)
}
