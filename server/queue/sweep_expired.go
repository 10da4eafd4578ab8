package queue

// One walk of the sweeper through what has expired in a queue, wherever it stands: it is dropped,
// or moved to another queue.

import (
	"context"
	"time"

	"github.com/darner/darner/wal"
)

// unstick is how long expired items stay after the other queue did not take one.
const unstick = 10 * time.Second

// expiryGap is the shortest time between two rounds of the sweeper.
const expiryGap = time.Second

// sweepExpired drops what has expired in a queue, most items at most; 0 is any number. It returns
// how many that were. Queue.sweeping is held.
func (q *Queue) sweepExpired(
	ctx context.Context, pace func(context.Context) bool, most int,
) (n int, err error) {
	w := &sweep{q: q, left: -1}
	if most > 0 {
		w.left = most
	}
	err = w.dropAll(ctx, pace)
	return w.gone, err
}

// sweep is one walk through what has expired in a queue.
type sweep struct {
	q    *Queue
	left int // items that it may still take; negative: any number
	gone int
}

// dropAll drops what has expired, wherever it stands. It waits for the disk, and calls pace now and
// then: when that is false it ends.
func (w *sweep) dropAll(ctx context.Context, pace func(context.Context) bool) error {
	q := w.q
	for from := uint64(0); ; {
		if !pace(ctx) {
			return nil
		}
		next, err := w.slice(from)
		if err != nil || next == 0 {
			return err
		}
		if w.left == 0 {
			q.store.mu.Lock()
			q.dueLocked(dueNow)
			q.store.mu.Unlock()
			return nil
		}
		from = next
	}
}

// slice drops a slice of it, and returns where to go on; 0: at the end.
func (w *sweep) slice(from uint64) (next uint64, err error) {
	q := w.q
	s := q.store
	s.mu.Lock()
	if !s.loadedLocked() || q.returned == nil {
		s.mu.Unlock()
		return 0, nil
	}
	c := q.cursor
	s.pins++
	s.mu.Unlock()
	defer s.unpin()
	if to := s.settings().ExpireTo; to != "" {
		return w.moveSlice(c, from, to)
	}
	n := 0
	expires, put := q.reach()
	return c.EachExpired(expires, put, from, func(p Position, m Meta) (stays, more bool) {
		n++
		stays = !w.drop(c, p, m)
		return stays, n < expirySlice && w.left != 0
	})
}

// reach says which times of items may mean that they have expired: see EachExpired.
func (q *Queue) reach() (expires, put int64) {
	e := q.store.reg.eras
	now := e.now() + e.behind()
	if most := q.store.settings().MaxAge; most > 0 {
		put = now - most.Milliseconds()
	}
	return now, put
}

// drop drops an item if it has expired and waits. It is false if the item stays.
func (w *sweep) drop(c cursor, p Position, m Meta) bool {
	q := w.q
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if !q.takeExpiredLocked(c, p, m) {
		return false
	}
	q.noteExpiredLocked(1, expiredItems)
	w.gone++
	w.left--
	return true
}

// takeExpiredLocked takes an item if it has expired and waits.
func (q *Queue) takeExpiredLocked(c cursor, p Position, m Meta) bool {
	if q.cursor != c {
		return false
	}
	it := q.itemLocked(p, m)
	return q.hasExpiredLocked(it) && q.withdrawLocked(it) && q.cursor.Take(p) == nil
}

// moveSlice moves a slice of it to another queue. What that does not take stays.
func (w *sweep) moveSlice(c cursor, from uint64, to string) (next uint64, err error) {
	q := w.q
	var b batch
	expires, put := q.reach()
	next, err = c.EachExpired(expires, put, from, func(p Position, m Meta) (stays, more bool) {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		it := q.itemLocked(p, m)
		if q.cursor == c && q.hasExpiredLocked(it) && q.withdrawLocked(it) {
			q.beginMoveLocked(it)
			b.add(it)
			w.left--
		}
		return true, !b.isFull() && w.left != 0
	})
	n, problem := q.move(b.items, to, wal.Expired)
	stay := q.finishMove(c, b.items, n)
	q.store.mu.Lock()
	q.noteExpiredLocked(uint64(n), movedItems)
	for _, it := range stay {
		if it.Seq < q.cursor.Seq() {
			q.passed.items++
			q.passed.bytes += it.Size
		}
	}
	if len(q.store.others) > 0 { // which have these items too
		for _, it := range b.items[:n] {
			c.Revisit(it.Position)
		}
	}
	switch {
	case problem != nil:
		q.stuckUntil = q.store.reg.eras.now() + unstick.Milliseconds()
	case n > 0:
		q.stuckUntil = 0
	}
	q.store.mu.Unlock()
	w.gone += n
	if problem != nil { // they are looked at again later
		q.noteStuck(len(stay), to, problem)
		return 0, err
	}
	return next, err
}
