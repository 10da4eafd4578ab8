package queue

// Items that are to move to another queue, in a queue that is at a bound: they make room for a new
// one. They move at once. If the other queue does not take them, and this one discards its oldest
// items, they are the first to go.

import (
	"context"

	"github.com/darner/darner/wal"
)

// mayClearAwayLocked reports whether items that are to move to another queue may go for a new one:
// to that queue or, if that does not take them, as the oldest of a queue that discards these.
func (q *Queue) mayClearAwayLocked() bool {
	if q.passed.items > 0 && !q.isStuckLocked() {
		return true
	}
	return q.store.settings().Discard && (q.passed.items > 0 || q.deadStay && len(q.dead) > 0)
}

// isStuckLocked reports whether the other queue has just not taken an expired item.
func (q *Queue) isStuckLocked() bool { return q.stuckUntil > q.store.reg.eras.now() }

// clearAway has items go that are to move to another queue. It waits for the disk and, if wait says
// so, for another walk through what has expired. Who moves items here may not wait: two queues may
// move theirs to each other, for as long as it takes to end what was begun before a reload.
func (q *Queue) clearAway(bound error, wait bool) {
	if wait {
		q.sweeping.Lock()
	} else if !q.sweeping.TryLock() {
		return
	}
	defer q.sweeping.Unlock()
	q.store.mu.Lock()
	stuck := q.isStuckLocked()
	q.store.mu.Unlock()
	if !stuck {
		if n, _ := q.sweepExpired(context.Background(), untilDone, moveItems); n > 0 {
			return
		}
	}
	if q.store.settings().Discard && !q.discardDead(bound) {
		q.discardPassed(bound)
	}
}

// discardDead discards the first of the items that were delivered too often.
func (q *Queue) discardDead(bound error) bool {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if !q.deadStay || len(q.dead) == 0 || q.cursor.Take(q.dead[0].Position) != nil {
		return false
	}
	q.dead = q.dead[1:]
	q.noteDiscardedLocked(1, bound)
	return true
}

// discardPassed discards the first of the items that have expired, also if the sweeper has just
// tried to move it. Queue.sweeping is held.
func (q *Queue) discardPassed(bound error) {
	q.store.mu.Lock()
	c := q.cursor
	q.store.mu.Unlock()
	expires, put := q.reach()
	if expires += wal.RevisitAfter; put > 0 {
		put += wal.RevisitAfter
	}
	_, _ = c.EachExpired(expires, put, 0, func(p Position, m Meta) (stays, more bool) {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		done := q.takeExpiredLocked(c, p, m)
		if done {
			q.noteDiscardedLocked(1, bound)
		}
		return false, !done
	})
}
