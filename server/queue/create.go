package queue

// Where a queue can be created, and what becomes of one whose first item is refused.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
)

// errNameTaken: a queue cannot be created where a file, a symbolic link or another directory is.
var errNameTaken = errors.New("something that is no queue has its name in the data directory")

// checkVacant makes sure that nothing has the name of a queue that is to be created. What has it
// was not listed as a queue, and a symbolic link would lead out of the data directory.
func (r *Registry) checkVacant(s *store) error {
	if r.trimsDots && strings.HasSuffix(s.name, ".") {
		return fmt.Errorf("%w that ends in a dot", errUnnameable)
	}
	_, err := r.fs.ReadDir(s.dir())
	if disk.IsTransient(err) && r.parkOthers(s, err) {
		_, err = r.fs.ReadDir(s.dir())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case disk.IsTransient(err):
		return err
	}
	if other := r.namesake(s.name); other != "" {
		return fmt.Errorf("%w: it does not tell the name from that of queue %s",
			errUnnameable, other)
	}
	return errNameTaken
}

// errUnnameable: not every file system takes every name. FAT and the like take no ':' and no dot at
// the end, and do not tell names apart that differ in case alone.
var errUnnameable = errors.New("the file system of the data directory takes no directory of this name")

// wrapUnnameable wraps the error of a directory that could not be created because of its name.
func wrapUnnameable(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errUnnameable, err)
	}
	return err
}

// namesake returns the queue whose name differs from this one in case alone; "" if there is none.
func (r *Registry) namesake(name string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for other := range r.stores {
		if other != name && strings.EqualFold(other, name) {
			return other
		}
	}
	return ""
}

// trimsTrailingDots reports whether the file system drops dots at the end of names: a queue "a."
// would be "a" after the next start.
func trimsTrailingDots(fsys disk.FS, dir string) bool {
	f, err := fsys.OpenRead(filepath.Join(dir, datadir.LockName+"."))
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// removeIfEmpty removes the directory of a queue that could not be created: an empty one would be a
// queue after the next start. It reports whether no directory is left.
func (r *Registry) removeIfEmpty(dir string) (gone bool) {
	entries, err := r.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && len(entries) == 0 && r.fs.Remove(dir) == nil
}

// rollbackCreate undoes the creation of a queue whose first item was refused, unless the queue has
// anything on the disk or somebody is at work on it.
func (s *store) rollbackCreate() {
	s.loading.Lock()
	defer s.loading.Unlock()
	if !s.untouched() {
		return
	}
	if entries, err := s.reg.fs.ReadDir(s.dir()); err != nil || len(entries) > 0 {
		return
	}
	s.mu.Lock()
	if s.log == nil || s.log.Stats().Appended > 0 || s.log.Err() != nil || s.inUseLocked() {
		s.mu.Unlock()
		return
	}
	s.snapshotLocked()
	l := s.detachLocked()
	s.mu.Unlock()
	l.Abandon()
	s.reg.removeLoaded(s)
	if !s.reg.removeIfEmpty(s.dir()) {
		return
	}
	s.reg.removeUncreated(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exists = false
	for q := range s.queuesLocked() {
		q.snapshot = nil
	}
}

// untouched reports whether a loaded store never had an item.
func (s *store) untouched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log != nil && s.log.Stats().Appended == 0
}
