// Package disktest is a file system in memory, for tests of what is stored through package disk. It
// can be
//
//   - crashed at any moment: [FS.Crash] is what a power cut may leave, [FS.Clone] what the death of
//     the process leaves;
//   - filled: [FS.SetCapacity];
//   - broken at any call: [FS.Fail];
//   - damaged: [FS.Corrupt].
//
// It knows what was synced from what was only written, for each 512-byte sector of a file and each
// name in a directory. It is no kinder than a real disk. A name that was not synced may vanish with
// its synced file. After a failed sync, nothing more of that file gets to the disk, whatever later
// syncs say.
//
// A map is a slice of the file's own memory. A store after the end of the file or into a hole,
// which would have killed a real process, cannot be caught when it happens. It is found at the next
// call on the file: see [FS.Violations]. Loads after the end and stores into read-only maps are not
// found. After the last Unmap the memory is filled with garbage, so that use of a map that is gone
// shows. Memory does not move under maps: while a file is mapped, it may not outgrow its largest
// map, and no larger map may be made. Both panic.
package disktest

import (
	"errors"
	"io"
	"io/fs"
	"sync"
	"syscall"

	"github.com/darner/darner/segment/disk"
)

var _ disk.FS = (*FS)(nil)

// Op is a kind of call, as the hook given to [FS.Fail] sees it. Close and Unmap are not among them:
// a program can do nothing about their failure.
type Op string

const (
	OpCreate   Op = "create"
	OpOpen     Op = "open" // Open and OpenRead
	OpReadDir  Op = "readdir"
	OpMkdir    Op = "mkdir"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpSyncDir  Op = "syncdir"
	OpLock     Op = "lock"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSize     Op = "size"
	OpTruncate Op = "truncate"
	OpAllocate Op = "allocate"
	OpSync     Op = "sync"
	OpSyncAll  Op = "syncall" // Volume.Sync
	OpMap      Op = "map"
)

// FS is a file system in memory. Names are separated by slashes; "/a", "a" and "./a" are the same.
// It is safe for concurrent use.
//
// Unexported methods of FS and node need mu held, except ask, which must run without it, and open.
type FS struct {
	mu         sync.Mutex
	root       *node
	journal    []change // changes of directories that no SyncDir has made durable, oldest first
	capacity   int64    // in blocks; negative for no bound
	used       int64    // blocks
	files      int      // how many are open: handles, locks and volumes
	maps       int
	violations []string

	hookMu sync.Mutex
	hook   func(op Op, name string, n int) error
	calls  int
}

// New returns an empty file system without a bound.
func New() *FS { return &FS{root: newDir(), capacity: -1} }

// Fail calls hook before every call of the file system, with the kind of the call, its file (for a
// rename, the old name) and its number, counted from 1 since Fail. If hook returns an error, that
// is the call's result, wrapped with operation and path, and the call does nothing else; see the
// package comment for what a failed sync does. The hook may use the FS, for example to crash it. A
// nil hook ends this.
func (f *FS) Fail(hook func(op Op, name string, n int) error) {
	f.hookMu.Lock()
	defer f.hookMu.Unlock()
	f.hook, f.calls = hook, 0
}

// ask calls the hook. It runs without f.mu, because the hook may use the FS.
func (f *FS) ask(op Op, name string) error {
	f.hookMu.Lock()
	hook := f.hook
	f.calls++
	n := f.calls
	f.hookMu.Unlock()
	if hook == nil {
		return nil
	}
	return wrap(op, name, hook(op, name, n))
}

// SetCapacity bounds the disk to a number of bytes, rounded down to blocks of 4096. Negative means
// no bound. Calls that need more blocks than there are fail with ENOSPC: Allocate then does
// nothing, and WriteAt writes what it has room for. Create and Mkdir need a free block, but do not
// take it. A capacity below what is in use takes nothing away.
func (f *FS) SetCapacity(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = bytes / blockSize
	if bytes < 0 {
		f.capacity = -1
	}
}

// Used returns the bytes in use, in complete blocks. Removed files count while they are open or
// mapped.
func (f *FS) Used() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used * blockSize
}

// full reports whether fewer than that many blocks are free.
func (f *FS) full(blocks int64) bool { return f.capacity >= 0 && f.used+blocks > f.capacity }

// Violations returns a line for every store found so far that would have ended a real process with
// SIGBUS. A test should end by checking that there are none.
func (f *FS) Violations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkAll()
	return append([]string(nil), f.violations...)
}

// InUse returns how many files are open, locks included, and how many maps there are. A process has
// only a limited number of both.
func (f *FS) InUse() (files, maps int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files, f.maps
}

func (f *FS) Create(name string) (disk.File, error) {
	return f.open(OpCreate, name, true, f.create)
}

func (f *FS) Open(name string) (disk.File, error) {
	return f.open(OpOpen, name, true, f.lookup)
}

func (f *FS) OpenRead(name string) (disk.File, error) {
	return f.open(OpOpen, name, false, f.lookup)
}

func (f *FS) open(
	op Op, name string, writable bool, find func(string) (*node, error),
) (disk.File, error) {
	if err := f.ask(op, name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := find(name)
	if err == nil && n.dir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, wrap(op, name, err)
	}
	n.handles++
	f.files++
	return &handle{fs: f, node: n, name: name, writable: writable}, nil
}

// Lock takes a lock that ends with the FS. An image made by Crash or Clone has no locks.
func (f *FS) Lock(name string) (io.Closer, error) { return f.lock(name, false) }

// LockDir is Lock for a directory.
func (f *FS) LockDir(dir string) (io.Closer, error) { return f.lock(dir, true) }

func (f *FS) lock(name string, dir bool) (io.Closer, error) {
	if err := f.ask(OpLock, name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if errors.Is(err, fs.ErrNotExist) && !dir {
		n, err = f.create(name)
	}
	switch {
	case err != nil:
	case n.dir() && !dir:
		err = syscall.EISDIR
	case !n.dir() && dir:
		err = syscall.ENOTDIR
	case n.locked:
		err = disk.ErrLocked
	}
	if err != nil {
		return nil, wrap(OpLock, name, err)
	}
	n.locked = true
	f.files++
	return &lock{fs: f, node: n}, nil
}

type lock struct {
	fs   *FS
	node *node // nil after Close
}

func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.node == nil {
		return fs.ErrClosed
	}
	l.node.locked = false
	l.node = nil
	l.fs.files--
	return nil
}

func wrap(op Op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}
