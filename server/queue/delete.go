package queue

// Deleting a queue takes constant time: its directory is renamed into the trash, and emptied there
// by the janitor.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/darner/darner/wal/datadir"
)

// Delete drops a queue and all its items; none of that name is no error. Its waiters are sent away
// with nothing, its open items end in nothing, an upload on its way in fails. The handle stays
// good: the next Put makes a fresh queue. It may wait for the disk, in constant time.
func (r *Registry) Delete(q *Queue) error {
	woken, err := r.remove(q)
	wake(woken)
	return err
}

func (r *Registry) remove(q *Queue) (woken []func(), err error) {
	q.loading.Lock()
	defer q.loading.Unlock()
	q.mu.Lock()
	exists, l := q.exists, q.log
	if l != nil {
		q.detach()
	}
	q.mu.Unlock()
	if l != nil {
		l.Abandon()
		r.delist(q)
	}
	if exists {
		if err := r.discard(q.dir()); err != nil {
			return nil, fmt.Errorf("queue %s cannot be deleted: %w", q.name, err)
		}
		r.forget(q)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.exists, q.broken, q.unready, q.snapshot, q.counts, q.due = false, nil, nil, nil, counts{}, 0
	return q.dismiss(), nil
}

// discard moves a queue's directory into the trash, for good when it returns unless it logs that
// only a power cut could bring it back.
func (r *Registry) discard(dir string) error {
	name := strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatUint(r.clock.Add(1), 36)
	err := r.fs.Rename(dir, filepath.Join(r.dir, datadir.TrashName, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r.janitor.wake()
	if err := r.fs.SyncDir(r.dir); err != nil {
		r.logger.Warn("queue is deleted, but a power cut may bring it back", "dir", dir, "error", err)
	}
	return nil
}
