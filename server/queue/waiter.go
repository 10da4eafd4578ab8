package queue

// Callers that wait for an item. Each queue serves them first come, first served. A waiter may wait
// in several queues and is claimed by one.

import "sync/atomic"

// Waiter is one caller's wait for an item of one or several queues. It is used from one goroutine
// and, after Stop, for the next wait.
//
//	w := queue.NewWaiter(wake)
//	claimed, err := q.Wait(w) // for each queue, until one claims
//	...                       // not claimed: until wake is called and w.Done, or the time is up
//	q, item, ok := w.Stop()
type Waiter struct {
	// Peek makes it a waiter that is shown the item and takes nothing. Set it between waits.
	Peek bool

	wake  func()
	state atomic.Uint32

	// Written by the queue that claims, under the mu of its store. Stop reads them after it has
	// held the mu of each store.
	queue *Queue
	item  Item

	entries []*waitEntry
	used    int // number of entries in use, in this wait
}

// The states of a waiter. Only Wait and Stop leave and enter idle. Whoever moves it from waiting to
// claimed has claimed it.
const (
	idle uint32 = iota
	waiting
	claimed
)

// NewWaiter returns a waiter that waits nowhere. wake is called when a queue claims the waiter, or
// releases it with nothing: from any goroutine, at most once for a wait, and with no lock held. It
// must not block. It may come late, when the waiter was stopped and waits again: look at Done.
func NewWaiter(wake func()) *Waiter { return &Waiter{wake: wake} }

// Wait claims for w what is there, or else puts w at the end of the wait queue. It returns true if
// w was claimed, by this queue or meanwhile by another one. If this call claimed it, wake is not
// called. After an error w waits only where it waited before.
func (q *Queue) Wait(w *Waiter) (bool, error) {
	w.state.CompareAndSwap(idle, waiting)
	if w.Done() {
		return true, nil
	}
	_, _, err := q.get(!w.Peek, w)
	return w.Done(), err
}

// Done reports whether the wait is over: an item was claimed, or a queue was deleted or cannot read
// its head for now. Stop tells which.
func (w *Waiter) Done() bool { return w.state.Load() == claimed }

// Stop ends the wait. If ok, the item of queue q was claimed: it is the caller's now, and open
// unless the waiter peeks. Otherwise nobody will claim w any more.
func (w *Waiter) Stop() (q *Queue, it Item, ok bool) {
	w.state.CompareAndSwap(waiting, idle)
	for _, e := range w.entries[:w.used] {
		e.leave()
	}
	w.used = 0
	if w.state.Swap(idle) == claimed {
		q, it = w.queue, w.item
	}
	w.queue, w.item = nil, Item{}
	return q, it, q != nil
}

// claim makes an item of q the waiter's; false when somebody else was quicker or the wait is over.
func (w *Waiter) claim(q *Queue, it Item) bool {
	if !w.state.CompareAndSwap(waiting, claimed) {
		return false
	}
	w.queue, w.item = q, it
	w.item.Position = it.Kept() // the caller may come late
	return true
}

// newEntry returns an entry for the wait queue of q.
func (w *Waiter) newEntry(q *Queue) *waitEntry {
	if w.used == len(w.entries) {
		w.entries = append(w.entries, &waitEntry{waiter: w})
	}
	e := w.entries[w.used]
	e.queue = q
	w.used++
	return e
}

// waitEntry is a waiter's place in one wait queue.
type waitEntry struct {
	waiter     *Waiter
	queue      *Queue // keeps the handle alive while somebody waits
	prev, next *waitEntry
	queued     bool
}

func (e *waitEntry) leave() {
	q := e.queue
	q.store.mu.Lock()
	q.dequeueLocked(e)
	q.store.mu.Unlock()
	e.queue = nil
}

// enqueueLocked puts a waiter at the end of the wait queue. The store knows in which of its queues
// somebody waits.
func (q *Queue) enqueueLocked(e *waitEntry) {
	if q.waiters.first == nil {
		q.waitedAt = len(q.store.waited)
		q.store.waited = append(q.store.waited, q)
	}
	q.waiters.add(e)
}

// dequeueLocked takes a waiter out of the wait queue, if it is there.
func (q *Queue) dequeueLocked(e *waitEntry) {
	if !e.queued {
		return
	}
	q.waiters.remove(e)
	if q.waiters.first == nil {
		all := q.store.waited
		last := all[len(all)-1]
		all[q.waitedAt], last.waitedAt = last, q.waitedAt
		all[len(all)-1] = nil
		q.store.waited = all[:len(all)-1]
	}
}

// waitQueue is a queue's waiters, in the order they came. Those that another queue claimed stay
// until they are stopped or reach the front. All methods need the store's mu.
type waitQueue struct {
	first, last *waitEntry
	n           int
}

func (l *waitQueue) add(e *waitEntry) {
	e.queued = true
	e.prev = l.last
	if l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
	l.n++
}

func (l *waitQueue) remove(e *waitEntry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.prev, e.next, e.queued = nil, nil, false
	l.n--
}

// wakesAtOnce is how many wakes fit on the stack: an item wakes one taker and now and then a
// waiter that peeks.
const wakesAtOnce = 4

// serveWaitersLocked gives what waits to the waiters. It appends what to call after the lock is
// given up, see wake. After ErrUnready the background goes on with it; no other error is kept for
// anybody.
func (q *Queue) serveWaitersLocked(woken []func()) (_ []func(), err error) {
	for e := q.waiters.first; e != nil; e = q.waiters.first {
		w := e.waiter
		if w.state.Load() == waiting {
			it, ok, err := q.popLocked()
			switch {
			case err == ErrUnready:
				q.skipLocked()
				return woken, err
			case err != nil: // nothing is lost, but nobody would come back for what waits here
				return append(woken, q.releaseWaitersLocked()...), nil
			case !ok:
				return woken, nil
			}
			if q.deliverLocked(&it, !w.Peek, w) {
				woken = append(woken, w.wake)
			}
		}
		q.dequeueLocked(e)
	}
	return woken, nil
}

// releaseWaitersLocked ends all waits with nothing.
func (q *Queue) releaseWaitersLocked() (woken []func()) {
	for e := q.waiters.first; e != nil; e = q.waiters.first {
		if e.waiter.claim(nil, Item{}) {
			woken = append(woken, e.waiter.wake)
		}
		q.dequeueLocked(e)
	}
	return woken
}

func wake(woken []func()) {
	for _, fn := range woken {
		fn()
	}
}
