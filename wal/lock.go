package wal

// A log is open once. Its lock is on its directory itself, so it leaves no file.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
)

// ErrInUse: the log is open already, in this process or another, or a server has the data directory
// that it is in.
var ErrInUse = errors.New("somebody has it open already, in this process or another")

// takeLock locks the log. A guarded log keeps no lock: it only looks whether others have one.
func (l *Log) takeLock() error {
	if !l.o.Guarded {
		if err := l.lookForServer(); err != nil {
			return err
		}
	}
	lock, err := l.fs.LockDir(l.dir)
	switch {
	case errors.Is(err, disk.ErrLocked):
		return ErrInUse
	case isNotExist(err):
		return err
	case err != nil && (l.o.Guarded || !disk.IsTransient(err)):
		return nil // a file system without such locks, for example
	case err != nil:
		return err
	}
	if l.o.Guarded {
		return lock.Close()
	}
	l.lock = lock
	return nil
}

// looking is held by who looks for a server. Whoever looks has the server's lock for that time, and
// must not be taken for the server by another log beside it.
var looking sync.Mutex

// lookForServer fails if a server has the data directory that the log is in. It makes no file.
func (l *Log) lookForServer() error {
	looking.Lock()
	defer looking.Unlock()
	data := filepath.Dir(l.dir)
	if _, err := l.fs.Allocated(filepath.Join(data, datadir.LockName)); err != nil {
		return nil // most logs are in no data directory
	}
	lock, err := datadir.Lock(l.fs, data)
	switch {
	case errors.Is(err, disk.ErrLocked):
		return fmt.Errorf("%w: a server, or a tool, has %s", ErrInUse, data)
	case errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return err
	}
	return lock.Close()
}

// unlock gives the lock back. It may be called again.
func (l *Log) unlock() {
	if l.lock != nil {
		l.lock.Close()
		l.lock = nil
	}
}
