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
	_, err := q.store.remove(func() bool { return true })
	return err
}

// remove deletes the log and ends all queues of it, if goes, which is called with the lock held,
// says so. It returns whether it does.
func (s *store) remove(goes func() bool) (gone bool, err error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.mu.Lock()
	if !goes() {
		s.mu.Unlock()
		return false, nil
	}
	exists, l, figures := s.exists, s.log, s.goneLocked()
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
			return false, fmt.Errorf("queue %s cannot be deleted: %w", s.name, err)
		}
		s.reg.removeDeleted(s, figures)
	}
	wake(s.endAll())
	return true, nil
}

// endAll ends all queues of a store whose log is gone. It returns whom to wake.
func (s *store) endAll() (woken []func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exists, s.broken, s.loadFailure = false, nil, nil
	s.damaged, s.mended, s.rewrites = 0, 0, 0
	for q := range s.queuesLocked() {
		woken = append(woken, q.endLocked()...)
	}
	s.others = nil
	return woken
}

// deleteAged deletes a store that is empty and older than it may be then, unless it is in use.
func (s *store) deleteAged(before uint64) {
	most := s.settings().MaxQueueAge
	if most <= 0 {
		return
	}
	gone, err := s.remove(func() bool { return s.exists && s.lastUse < before && s.isAgedLocked() })
	switch {
	case err != nil:
		s.logger().Warn("cannot delete a queue that is empty and old", "error", err)
	case gone:
		s.logger().Info("queue is deleted: it is empty, and older than max-queue-age",
			"max-queue-age", most)
	}
}

// isAgedLocked reports whether nothing is in a store, nobody uses it, and it is too old for that.
func (s *store) isAgedLocked() bool {
	at := s.agesLocked()
	return at != 0 && at <= s.reg.eras.now()
}

// agesLocked is when an empty store is to be deleted, in Unix ms; 0: it has no such age, or is not
// empty, or in use.
func (s *store) agesLocked() (at int64) {
	most := s.settings().MaxQueueAge.Milliseconds()
	switch {
	case most <= 0 || len(s.others) > 0 || s.broken != nil || s.loadFailure != nil:
		return 0
	case s.log != nil:
		if items, _ := s.own.cursor.Pending(); items > 0 || s.busyLocked() {
			return 0
		}
		return s.log.Stats().CreatedUnix + most
	case s.own.snapshot != nil && s.own.snapshot.pending == 0:
		return s.own.snapshot.created + most
	}
	return 0
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
