package queue

// What must not wait. TryPut, TryFetch, TryPeek, TryWait, TryRead and TryBorrow are Put and so on
// for a loop that serves others as well. They return ErrUnready where they would wait for the disk,
// or skip a great many items that have expired, are taken or damaged. Then the background goes on,
// in slices, and ReadyThen says when to try again. Each queue skips once, however many callers wait
// for it.

import (
	"container/list"
	"errors"

	"github.com/darner/darner/segment/disk"
)

// skipping is the skipping of what is in the way of the head. Store.mu guards it.
type skipping struct {
	running   bool
	callbacks list.List // of func(): called when it is done
	err       error     // what ended it, for the first caller
}

// TryPut is Put that does not wait. It returns ErrNotLoaded for a queue that is not loaded, see
// Create, and ErrBacklog, see CatchUpThen. After another error call Relieve.
func (q *Queue) TryPut(payload []byte, m Meta) error { return q.store.tryPut(payload, m) }

// Relieve does what can be done about a refusal of TryPut, and waits for the disk; nil means to try
// again. If the first item of a queue was refused, nothing is left of the queue.
func (q *Queue) Relieve(refused error) error {
	switch {
	case errors.Is(refused, ErrDiscardOldest):
		return q.DiscardOldest(refused)
	case q.Reclaim(refused):
		return nil
	}
	q.store.rollbackCreate()
	return refused
}

// Reclaim parks other queues if an operation failed with err because the system is short of
// something. It reports whether that is worth trying again. It may wait for the disk.
func (q *Queue) Reclaim(err error) bool {
	return disk.IsTransient(err) && q.store.reg.parkOthers(q.store, err)
}

// TryFetch is Fetch that does not wait.
func (q *Queue) TryFetch() (Item, bool, error) { return q.tryGet(true, nil) }

// TryPeek is Peek that does not wait.
func (q *Queue) TryPeek() (Item, bool, error) { return q.tryGet(false, nil) }

// TryWait is Wait that does not load the queue: after ErrNotLoaded w does not wait in it.
func (q *Queue) TryWait(w *Waiter) (bool, error) {
	w.state.CompareAndSwap(idle, waiting)
	if w.Done() {
		return true, nil
	}
	_, _, err := q.tryGet(!w.Peek, w)
	return w.Done(), err
}

// TryRead is Read that does not wait.
func (q *Queue) TryRead(it Item, dst []byte) ([]byte, error) {
	out, err := it.cursor.TryRead(it.Position, dst)
	if err != nil {
		return dst, goneIfClosed(err)
	}
	return out, nil
}

// TryBorrow is Borrow that does not wait.
func (q *Queue) TryBorrow(it Item) (Loan, error) {
	b, err := it.cursor.TryBorrow(it.Position)
	return q.passOn(it, b, err)
}

// ReadyThen calls fn once, on another goroutine, when what was ErrUnready should be tried again. It
// never blocks; fn must not either. stop cancels the call unless it has begun or is about to.
func (q *Queue) ReadyThen(fn func()) (stop func()) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	skip := q.skipLocked()
	e := skip.callbacks.PushBack(fn)
	return func() {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		skip.callbacks.Remove(e)
	}
}

// skipLocked has the background skip what is in the way of the head.
func (q *Queue) skipLocked() *skipping {
	if q.skip == nil {
		q.skip = new(skipping)
	}
	if !q.skip.running {
		q.skip.running = true
		q.store.pins++
		q.cursor.ReadyThen(q.skipSlice)
	}
	return q.skip
}

// takeSkipErrLocked takes the error that ended the skipping, if there was one.
func (q *Queue) takeSkipErrLocked() (err error) {
	if q.skip == nil {
		return nil
	}
	err, q.skip.err = q.skip.err, nil
	if !q.skip.running {
		q.skip = nil
	}
	return err
}

// skipSlice skips a slice of it.
func (q *Queue) skipSlice() {
	q.store.mu.Lock()
	var buf [wakesAtOnce]func()
	woken, err := q.serveWaitersLocked(buf[:0])
	if err == nil {
		var it Item
		var ok bool
		if it, ok, err = q.popLocked(); ok {
			q.putBackLocked(it)
		}
	}
	if err == ErrUnready {
		q.cursor.ReadyThen(q.skipSlice)
	} else {
		q.store.pins--
		woken = append(woken, q.endSkipLocked(err)...)
	}
	q.store.mu.Unlock()
	wake(woken)
}

// endSkipLocked ends the skipping, and returns whom to wake. The first of them gets the error.
func (q *Queue) endSkipLocked(err error) (woken []func()) {
	callbacks := &q.skip.callbacks
	for e := callbacks.Front(); e != nil; e = callbacks.Front() {
		woken = append(woken, callbacks.Remove(e).(func()))
	}
	q.skip.running = false
	if err == nil || len(woken) == 0 {
		q.skip = nil
	} else {
		q.skip.err = err
	}
	return woken
}

// waitReady waits for ReadyThen.
func (q *Queue) waitReady() {
	done := make(chan struct{})
	q.ReadyThen(func() { close(done) })
	<-done
}
