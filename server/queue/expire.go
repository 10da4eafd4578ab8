package queue

// What has expired: an item may have an end of its own, and a queue one for all of its items. An
// expired item is delivered to nobody. It leaves when a reader comes across it, or when the sweeper
// does, wherever it stands. In a queue that moves expired items to another one, readers only pass
// over them: they stay in the log, and count as passed, until the sweeper has moved them.

import "slices"

// endsLocked is when an item expires by the clock as it is set now, in Unix ms; 0 is never.
func (q *Queue) endsLocked(it Item) int64 {
	s := q.store
	at := s.expiryLocked(it)
	if most := s.settings().MaxAge; most > 0 {
		if oldest := it.Enqueued + s.shiftLocked(it) + most.Milliseconds(); at == 0 || oldest < at {
			at = oldest
		}
	}
	return at
}

// hasExpiredLocked reports whether an item has expired.
func (q *Queue) hasExpiredLocked(it Item) bool {
	s := q.store
	if it.Expires == 0 && s.settings().MaxAge == 0 {
		return false
	}
	e := s.reg.eras
	for {
		steps := e.steps.Load()
		now, ends := e.now(), q.endsLocked(it)
		if e.steps.Load() == steps { // else one of the two may be from before the step
			return ends != 0 && ends <= now
		}
	}
}

// expireLocked ends an expired item that was taken from what waits: it is gone or, in a queue that
// moves such items, passed.
func (q *Queue) expireLocked(it Item) error {
	if q.store.settings().ExpireTo != "" {
		q.passLocked(it)
		return nil
	}
	if err := q.cursor.Take(it.Position); err != nil {
		q.putBackLocked(it)
		return err
	}
	q.noteExpiredLocked(1, expiredItems)
	return nil
}

// passLocked leaves an expired item in the log for the sweeper to move.
func (q *Queue) passLocked(it Item) {
	q.passed.items++
	q.passed.bytes += it.Size
	q.cursor.Revisit(it.Position)
	q.dueLocked(q.unstuckLocked())
}

// unstuckLocked is when expired items can move again, in Unix ms.
func (q *Queue) unstuckLocked() int64 { return max(dueNow, q.stuckUntil) }

// dueLocked notes that the queue is to be cleaned up at a time, in Unix ms, or before.
func (q *Queue) dueLocked(at int64) {
	if q.due == 0 || at < q.due {
		q.due = at
		q.store.reg.sweeper.comeBy(at)
	}
}

// dueForLocked notes when an item expires that was put.
func (q *Queue) dueForLocked(p Position, m Meta) {
	it := Item{Position: p, Enqueued: m.Enqueued, Expires: m.Expires, fixed: m.Fixed()}
	if at := q.endsLocked(it); at != 0 {
		q.dueLocked(max(dueNow, at))
	}
}

// withdrawLocked takes an item out of what waits, wherever it does. It is false if somebody has it,
// or has taken it since it was found.
func (q *Queue) withdrawLocked(it Item) bool {
	a := q.agenda
	if q.isMovingLocked(it.Seq) || q.cursor.Taken(it.Position) {
		return false
	}
	if it.Seq >= q.cursor.Seq() { // the cursor will pass over it
		if a != nil && a.leave(it) {
			a.ripe.add(it.Seq) // where it is found if it stays
		}
		return true
	}
	if q.opens.hasSeq(it.Seq) {
		return false
	}
	if _, ok := q.returned.Delete(it); ok {
		return true
	}
	if a != nil {
		if a.ripe.remove(it.Seq) || a.leave(it) {
			return true
		}
	}
	if slices.ContainsFunc(q.dead, func(x Item) bool { return x.Seq == it.Seq }) {
		return false
	}
	if q.passed.items > 0 {
		q.passed.items--
		q.passed.bytes -= it.Size
	}
	return true
}
