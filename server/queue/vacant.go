package queue

// Where a queue can be made, and what becomes of one whose first item is refused.

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

// errTaken: a queue cannot be made where a file, a symbolic link or somebody else's directory is.
var errTaken = errors.New("something that is no queue has its name in the data directory")

// vacant makes sure that nothing has the name of a queue that is to be made: what is there was not
// listed as a queue, and a symbolic link would lead out of the data directory.
func (r *Registry) vacant(s *store) error {
	if r.dropsDots && strings.HasSuffix(s.name, ".") {
		return fmt.Errorf("%w that ends in a dot", errUnnameable)
	}
	_, err := r.fs.ReadDir(s.dir())
	if short(err) && r.parkSome(s, err) {
		_, err = r.fs.ReadDir(s.dir())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case short(err):
		return err
	}
	if other := r.namesake(s.name); other != "" {
		return fmt.Errorf("%w: it does not tell the name from that of queue %s", errUnnameable, other)
	}
	return errTaken
}

// errUnnameable: not every file system takes every name. FAT and its kin take no ':' and no dot at
// the end, and hold names for the same that differ in case alone.
var errUnnameable = errors.New("the file system of the data directory takes no directory of this name")

// unnameable words the error of a directory that could not be made for the sake of its name.
func unnameable(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errUnnameable, err)
	}
	return err
}

// namesake returns the queue whose name differs from this one in case alone, "" when there is none.
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

// losesDots reports whether the file system drops dots at the end of names: a queue "a." would come
// back as "a" at the next start.
func losesDots(fsys disk.FS, dir string) bool {
	f, err := fsys.OpenRead(filepath.Join(dir, datadir.LockName+"."))
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// removeEmpty removes the directory of a queue that could not be made, for an empty one would come back
// as a queue. It reports whether none is left.
func (r *Registry) removeEmpty(dir string) (gone bool) {
	entries, err := r.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && len(entries) == 0 && r.fs.Remove(dir) == nil
}

// rollbackCreate makes a queue as if it had never been, after its first item was refused, unless it holds
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
	if s.log == nil || s.log.Stats().Appended > 0 || s.log.Err() != nil || s.inHand() {
		s.mu.Unlock()
		return
	}
	s.keepFigures()
	l := s.detach()
	s.mu.Unlock()
	l.Abandon()
	s.reg.delist(s)
	if !s.reg.removeEmpty(s.dir()) {
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

// untouched reports that a loaded store never had an item.
func (s *store) untouched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log != nil && s.log.Stats().Appended == 0
}
