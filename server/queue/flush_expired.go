package queue

// Dropping what has expired because somebody asks for it.

import (
	"context"
	"errors"
)

// FlushExpired drops what has expired at the head, and returns how many items that were. It may
// wait for the disk.
func (q *Queue) FlushExpired() (n int, err error) {
	for {
		some, lacks, err := q.flushExpiredSlice()
		n += some
		switch {
		case lacks != nil:
			lacks.GetReady()
			q.store.unpin()
		case err != ErrUnready:
			return n, err
		}
	}
}

// flushExpiredSlice drops a slice. After ErrUnready there may be more; lacks is a cursor that needs
// time before that, and then the store is pinned.
func (q *Queue) flushExpiredSlice() (n int, lacks cursor, err error) {
	s := q.store
	there, err := s.lockLoaded(false)
	if err != nil {
		return 0, nil, err
	}
	defer s.mu.Unlock()
	if !there || q.returned == nil || q.waiters.first != nil { // clients wait, so no item does
		return 0, nil, nil
	}
	before := q.expiredLocked()
	it, ok, err := q.popLocked()
	if ok {
		q.putBackLocked(it)
		q.due = s.expiryLocked(it)
	}
	n = int(q.expiredLocked() - before)
	if err == ErrUnready && n < expirySlice {
		s.pins++ // it must not be parked
		lacks = q.cursor
	}
	return n, lacks, err
}

// expiredLocked is how many items were dropped because they have expired.
func (q *Queue) expiredLocked() uint64 {
	if q.lost == nil {
		return 0
	}
	return q.lost.expired
}

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
