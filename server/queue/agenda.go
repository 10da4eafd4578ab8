package queue

// What a queue does at a time: items become visible that were put with a delay, or that went back
// and wait for their next delivery; reads that are open for too long end. A queue without any of
// these has no agenda.
//
// An item that waits for its time is remembered by its number alone, and found in the log again
// when its turn comes. So a million of them cost some megabytes.

import (
	"math/bits"
	"runtime"
	"time"

	"github.com/darner/darner/wal/clock"
)

// agenda is what a queue does at a time. Store.mu guards it.
type agenda struct {
	// later has the items that nobody sees before their time, and delayed their numbers: one that
	// is not in there has left before its time. laterBytes adds up their payloads.
	later      appointments
	delayed    *numbers
	laterBytes int64
	kept       int // appointments since the collector was last called

	// ripe has the numbers of items that wait again and are not in Queue.returned: those whose time
	// has come, before and after the cursor. The cursor passes over them.
	ripe *numbers

	held heldReads

	// retries is the steady ms at which all that went back is visible again. The log remembers no
	// such time, so it is not parked before.
	retries int64

	timer clock.Timer // nil until there is a time to set it for
	rings int64       // steady ms for which the timer is set; never: it is not
}

// ripeSlice is how many items become visible in one hold of the lock.
const ripeSlice = 512

// agendaLocked is the queue's agenda, made if there is none.
func (q *Queue) agendaLocked() *agenda {
	if q.agenda == nil {
		q.agenda = &agenda{rings: never, delayed: newNumbers(), ripe: newNumbers()}
	}
	return q.agenda
}

// dropAgendaLocked forgets what is on the agenda.
func (q *Queue) dropAgendaLocked() {
	if a := q.agenda; a != nil && a.timer != nil {
		a.timer.Stop()
	}
	q.agenda = nil
}

// forgetLaterLocked forgets all items on the agenda, which are taken.
func (q *Queue) forgetLaterLocked() {
	if a := q.agenda; a != nil {
		a.later, a.laterBytes, a.retries = appointments{}, 0, 0
		a.delayed, a.ripe = newNumbers(), newNumbers()
	}
}

// deferLocked has an item come back at a time of steady ms.
func (q *Queue) deferLocked(seq uint64, size, at int64) {
	a := q.agendaLocked()
	a.later.push(appointment{at: at, seq: seq, size: size})
	a.delayed.add(seq)
	a.laterBytes += size
	q.setAlarmLocked()
}

// leave takes an item off the agenda before its time. It is false if the item has none.
func (a *agenda) leave(it Item) bool {
	if !a.delayed.remove(it.Seq) {
		return false
	}
	a.laterBytes -= it.Size
	return true
}

// setAlarmLocked sets the timer for what is next on the agenda.
func (q *Queue) setAlarmLocked() {
	a := q.agenda
	next := int64(never)
	if a.later.n > 0 {
		next = a.later.min().at
	}
	if timeout := q.store.settings().OpenTimeout; timeout > 0 && a.held.first != nil {
		next = min(next, a.held.first.since+timeout.Milliseconds())
	}
	if next < a.rings {
		a.rings = next
		if a.timer == nil {
			a.timer = clock.NewTimer(q.store.reg.clock, q.keepAgenda)
		}
		left := max(0, next-q.store.reg.steady())
		a.timer.Reset(time.Duration(left) * time.Millisecond)
	}
}

// keepAgenda does what is due, in slices.
func (q *Queue) keepAgenda() {
	s := q.store
	s.mu.Lock()
	a := q.agenda
	if a == nil {
		s.mu.Unlock()
		return
	}
	a.rings = never
	q.ripenLocked()
	if a.kept > manyKept {
		a.kept = 0
		go runtime.GC() // the collector may let as much again pile up: a small machine needs it
	}
	q.endLateReadsLocked()
	if a.isEmpty() {
		q.dropAgendaLocked()
	} else {
		q.setAlarmLocked()
	}
	s.serveAndUnlock()
}

func (a *agenda) isEmpty() bool {
	return a.delayed.n == 0 && a.ripe.n == 0 && a.held.first == nil
}

// manyKept is how many appointments take some megabytes.
const manyKept = 1 << 17

// ripenLocked makes a slice of the items visible whose time has come. It is false if there are
// more.
func (q *Queue) ripenLocked() (all bool) {
	a := q.agenda
	if a.later.n == 0 {
		return true
	}
	now := q.store.reg.steady()
	for range ripeSlice {
		if a.later.n == 0 || a.later.min().at > now {
			return true
		}
		x := a.later.pop()
		a.kept++
		if a.delayed.remove(x.seq) {
			a.laterBytes -= x.size
			a.ripe.add(x.seq)
		}
	}
	return a.later.n == 0 || a.later.min().at > now
}

// nextOnAgendaLocked is nextLocked in a queue that has an agenda: of what waits, the item with the
// lowest number.
func (q *Queue) nextOnAgendaLocked() (Item, bool, error) {
	a := q.agenda
	if a.isEmpty() {
		q.dropAgendaLocked()
		return q.nextLocked()
	}
	if !q.ripenLocked() {
		return Item{}, false, ErrUnready
	}
	for range expirySlice {
		oldest, waits := q.returned.Min()
		ripe, due := a.ripe.min()
		if due && ripe < q.cursor.Seq() && (!waits || ripe < oldest.Seq) {
			it, ok, err := q.findRipeLocked(ripe)
			if ok || err != nil {
				return it, ok, err
			}
			continue
		}
		if waits {
			it, ok := q.returned.DeleteMin()
			return it, ok, nil
		}
		p, m, ok, err := q.cursor.TryNextInto(&q.more)
		switch {
		case err != nil:
			return Item{}, false, err
		case ok && q.isDeferred(p, m):
		case ok && due && ripe < p.Seq: // the cursor has passed it just now
			q.putBackLocked(q.itemLocked(p, m))
		case ok:
			return q.itemLocked(p, m), true, nil
		case !due || ripe >= q.cursor.Seq():
			return Item{}, false, nil
		}
	}
	return Item{}, false, ErrUnready
}

// findRipeLocked finds a ripe item in the log; false if it is taken by now.
func (q *Queue) findRipeLocked(seq uint64) (it Item, ok bool, err error) {
	p, m, ok, err := q.cursor.TryFindInto(&q.more, seq)
	if err != nil {
		return it, false, err
	}
	q.agenda.ripe.remove(seq)
	if !ok {
		return it, false, nil
	}
	return q.itemLocked(p, m), true, nil
}

// isDeferred reports whether an item that the cursor hands out is on the agenda: every item that
// was put with a delay is, unless it was due when the log was opened.
func (q *Queue) isDeferred(p Position, m Meta) bool {
	due := m.Due()
	return due != 0 && (p.Seq >= q.loaded.next || due > q.loaded.due)
}

// loadedAt is what of a log was put on the agenda when it was opened.
type loadedAt struct {
	next uint64 // the number of the next item then
	due  int64  // items that were put before and are due later, in Unix ms
}

// delayLocked sets when an item that is about to be put becomes visible, if it has a delay.
func (s *store) delayLocked(m *Meta) {
	if delay := s.settings().Delay; m.Due() == 0 && delay > 0 {
		m.SetDue(m.Enqueued + delay.Milliseconds())
	}
	if m.Due() <= m.Enqueued { // a delay of 0 ms was asked for
		m.SetDue(0)
	}
}

// timePutLocked has all queues know of the times of an item that was put.
func (s *store) timePutLocked(p Position, m Meta) {
	for q := range s.queuesLocked() {
		if due := m.Due(); due != 0 {
			q.deferLocked(p.Seq, p.Size, s.reg.steady()+due-s.reg.eras.now())
		}
		q.dueForLocked(p, m)
	}
}

// delayedLocked is the items that wait for their time.
func (q *Queue) delayedLocked() (all sum) {
	if a := q.agenda; a != nil {
		all = sum{a.delayed.n, a.laterBytes}
	}
	return all
}

// memory is how many bytes of memory the agenda takes.
func (a *agenda) memory() int64 {
	return a.later.memory() + a.delayed.memory() + a.ripe.memory()
}

// readLater reads what is not due yet in a log that was just opened. It waits for the disk.
func (q *Queue) readLater(c cursor, l log) (later appointments, at loadedAt, err error) {
	s, e := q.store, q.store.reg.eras
	at = loadedAt{next: l.Next(), due: e.now()}
	if e.corrects() { // times in the log may be off
		at.due = 0
	}
	err = c.EachDue(at.due, func(p Position, m Meta) {
		s.mu.Lock()
		due := m.Due() + s.shiftLocked(Item{Position: p, Enqueued: m.Enqueued})
		s.mu.Unlock()
		later.push(appointment{at: s.reg.steady() + due - e.now(), seq: p.Seq, size: p.Size})
	})
	return later, at, err
}

// attachLaterLocked puts what readLater found on the agenda.
func (q *Queue) attachLaterLocked(later appointments, at loadedAt) {
	q.loaded = at
	if later.n == 0 {
		return
	}
	a := q.agendaLocked()
	a.later = later
	for i := range later.n {
		x := later.at(i)
		a.delayed.add(x.seq)
		a.laterBytes += x.size
	}
	q.setAlarmLocked()
}

// retryLocked puts an item that came back on the agenda, if its next delivery has to wait. It is
// false if that need not.
func (q *Queue) retryLocked(it Item) bool {
	set := q.store.settings()
	if set.RetryDelay <= 0 || q.delayedLocked().items >= set.maxDelayed() {
		return false
	}
	wait := backoff(set.RetryDelay, set.RetryDelayMax, it.deliveries).Milliseconds()
	at := q.store.reg.steady() + wait
	q.deferLocked(it.Seq, it.Size, at)
	q.agenda.retries = max(q.agenda.retries, at)
	return true
}

// backoff is how long an item waits for its next delivery after so many: the first time that is
// first, and twice as long each time, up to most.
func backoff(first, most time.Duration, deliveries uint32) time.Duration {
	double := max(1, deliveries) - 1
	if most <= first {
		return first
	}
	if int(double) >= bits.LeadingZeros64(uint64(first))-1 {
		return most
	}
	return min(first<<double, most)
}

func (s *Settings) maxDelayed() int64 {
	if s.MaxDelayed > 0 {
		return int64(s.MaxDelayed)
	}
	return DefaultMaxDelayed
}
