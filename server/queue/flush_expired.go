package queue

// Dropping what has expired because somebody asks for it.

import (
	"context"
	"errors"
)

// FlushExpired drops what has expired, or moves it to where the settings say, and returns how many
// items that were. It may wait for the disk.
func (q *Queue) FlushExpired() (n int, err error) {
	there, err := q.store.lockLoaded(false)
	if err != nil {
		return 0, err
	}
	if !there {
		q.store.mu.Unlock()
		return 0, nil
	}
	q.store.pins++
	q.store.mu.Unlock()
	defer q.store.unpin()
	q.sweeping.Lock()
	defer q.sweeping.Unlock()
	return q.sweepExpired(context.Background(), untilDone, 0)
}

// untilDone is a pace that never waits.
func untilDone(context.Context) bool { return true }

// FlushAllExpired is FlushExpired of every queue, and returns the sum. Parked queues in which
// nothing is due stay parked. When ctx ends it stops between two queues and returns the context's
// error.
func (r *Registry) FlushAllExpired(ctx context.Context) (n int, err error) {
	var errs []error
	for _, s := range r.all() {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		if s.nothingExpires() {
			continue
		}
		for _, q := range s.allQueues() {
			some, err := q.FlushExpired()
			n += some
			errs = append(errs, err)
		}
	}
	return n, errors.Join(errs...)
}

// nothingExpires reports whether a store is parked, and is known to have nothing that has expired.
func (s *store) nothingExpires() bool {
	if s.readFigures() != nil {
		return false // whoever loads it hears why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log == nil && s.dueLocked() > s.reg.eras.now()
}
