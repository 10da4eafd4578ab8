package queue

// Deleting a queue takes constant time: its directory is renamed into the trash, which the janitor
// empties.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/darner/darner/wal/datadir"
)

// Delete removes a queue and all its items; it is no error if there is none of that name. Its
// waiters leave with nothing, its open items end in nothing, an upload to it fails. The handle
// stays valid: the next Put creates a new queue. It may wait for the disk, in constant time.
func (q *Queue) Delete() error {
	if q != &q.store.own {
		return q.store.leave(q)
	}
	woken, err := q.store.remove()
	wake(woken)
	return err
}

// remove deletes the log and ends all queues of it. It returns whom to wake.
func (s *store) remove() (woken []func(), err error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.Lock()
	exists, l, gone := s.exists, s.log, s.goneLocked()
	if l != nil {
		s.detachLocked()
	}
	s.mu.Unlock()
	if l != nil {
		l.Abandon()
		s.reg.removeLoaded(s)
	}
	if exists {
		if err := s.reg.moveToTrash(s.dir()); err != nil {
			return nil, fmt.Errorf("queue %s cannot be deleted: %w", s.name, err)
		}
		s.reg.removeDeleted(s, gone)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exists, s.broken, s.loadFailure = false, nil, nil
	s.damaged, s.mended, s.rewrites = 0, 0, 0
	for q := range s.queuesLocked() {
		woken = append(woken, q.endLocked()...)
	}
	s.others = nil
	return woken, nil
}

// moveToTrash moves a queue's directory into the trash, durably unless it logs that a power cut may
// bring the queue back.
func (r *Registry) moveToTrash(dir string) error {
	day, _ := r.clock.Now()
	err := fs.ErrExist
	for try := 0; errors.Is(err, fs.ErrExist) && try < 10; try++ { // an earlier run took the name
		name := strconv.FormatInt(day.UnixNano(), 36) + "-" + strconv.FormatUint(r.tick.Add(1), 36)
		err = r.fs.Rename(dir, filepath.Join(r.dir, datadir.TrashName, name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	signal(r.janitor.trash)
	if err := r.fs.SyncDir(r.dir); err != nil {
		r.logger.Warn("queue is deleted, but a power cut may bring it back", "dir", dir, "error", err)
	}
	return nil
}
