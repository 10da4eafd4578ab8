package queue

// Callers that wait for an item. Each queue has a line of them, first come first served; one
// waiter may stand in the lines of several queues and is claimed by one.

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

	// Written by who claims, under the mu of the store where the waiter stood. Stop reads them after
	// it has held the mu of each of its queues' stores.
	queue *Queue
	item  Item

	places []*place
	used   int // of places, in this wait
}

// The states of a waiter. Only Wait and Stop leave and enter idle; whoever moves it from waiting
// to claimed has claimed it.
const (
	idle uint32 = iota
	waiting
	claimed
)

// NewWaiter returns a waiter that stands nowhere. wake is called when it is claimed, or when a
// queue it waits for sends it away: from any goroutine, once a wait at most, and with no lock held. It
// must not block. It may come late, when the waiter was stopped and waits again: look at Done.
func NewWaiter(wake func()) *Waiter { return &Waiter{wake: wake} }

// Wait puts w at the end of the line, or claims for it at once what is there. It returns whether w
// is claimed, here or meanwhile by another queue where it stands: then Done is true, and this call
// did not lead to a wake. After an error w stands in no line that it did not stand in before.
func (q *Queue) Wait(w *Waiter) (bool, error) {
	w.state.CompareAndSwap(idle, waiting)
	if w.Done() {
		return true, nil
	}
	_, _, err := q.get(!w.Peek, w)
	return w.Done(), err
}

// Done reports whether the wait is over: an item was claimed, or a queue was deleted or cannot tell
// its head for now. Stop tells.
func (w *Waiter) Done() bool { return w.state.Load() == claimed }

// Stop ends the wait. ok tells that the item of queue q was claimed: it is the caller's now, open
// unless the waiter peeks. Else nobody will claim w any more.
func (w *Waiter) Stop() (q *Queue, it Item, ok bool) {
	w.state.CompareAndSwap(waiting, idle)
	for _, p := range w.places[:w.used] {
		p.leave()
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
	return true
}

// stand takes a place for the line of q.
func (w *Waiter) stand(q *Queue) *place {
	if w.used == len(w.places) {
		w.places = append(w.places, &place{waiter: w})
	}
	p := w.places[w.used]
	p.queue = q
	w.used++
	return p
}

// place is where a waiter stands in one line.
type place struct {
	waiter     *Waiter
	queue      *Queue // keeps the handle alive while somebody waits
	prev, next *place
	inLine     bool
}

func (p *place) leave() {
	q := p.queue
	q.store.mu.Lock()
	q.leaveLine(p)
	q.store.mu.Unlock()
	p.queue = nil
}

// enterLine puts a waiter at the end of the line. The store knows in which of its queues somebody waits.
func (q *Queue) enterLine(p *place) {
	if q.line.first == nil {
		q.lineAt = len(q.store.inLine)
		q.store.inLine = append(q.store.inLine, q)
	}
	q.line.add(p)
}

// leaveLine takes a waiter out of the line, if it stands there.
func (q *Queue) leaveLine(p *place) {
	if !p.inLine {
		return
	}
	q.line.remove(p)
	if q.line.first == nil {
		all := q.store.inLine
		last := all[len(all)-1]
		all[q.lineAt], last.lineAt = last, q.lineAt
		all[len(all)-1] = nil
		q.store.inLine = all[:len(all)-1]
	}
}

// line is a queue's waiters, in the order they came. Those claimed elsewhere stay until they are
// stopped or reach the front.
type line struct {
	first, last *place
	n           int
}

func (l *line) add(p *place) {
	p.inLine = true
	p.prev = l.last
	if l.last != nil {
		l.last.next = p
	} else {
		l.first = p
	}
	l.last = p
	l.n++
}

func (l *line) remove(p *place) {
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		l.last = p.prev
	}
	p.prev, p.next, p.inLine = nil, nil, false
	l.n--
}

// wakesAtOnce is how many wakes fit on the stack: an item wakes one taker and now and then a
// waiter that peeks.
const wakesAtOnce = 4

// serve gives what waits to those in line. It appends what is to be called, with wake, when the
// lock is given up. After ErrUnready it is gone on with in the background; no other error stays with anybody.
func (q *Queue) serve(woken []func()) (_ []func(), err error) {
	for p := q.line.first; p != nil; p = q.line.first {
		w := p.waiter
		if w.state.Load() == waiting {
			it, ok, err := q.pop()
			switch {
			case err == ErrUnready:
				q.goOn()
				return woken, err
			case err != nil: // nothing is lost, but nobody would come back for what waits here
				return append(woken, q.dismiss()...), nil
			case !ok:
				return woken, nil
			}
			if q.deliver(&it, !w.Peek, w) {
				woken = append(woken, w.wake)
			}
		}
		q.leaveLine(p)
	}
	return woken, nil
}

// dismiss sends all in line away with nothing.
func (q *Queue) dismiss() (woken []func()) {
	for p := q.line.first; p != nil; p = q.line.first {
		if p.waiter.claim(nil, Item{}) {
			woken = append(woken, p.waiter.wake)
		}
		q.leaveLine(p)
	}
	return woken
}

func wake(woken []func()) {
	for _, fn := range woken {
		fn()
	}
}
