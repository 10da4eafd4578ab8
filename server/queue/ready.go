package queue

// What must not wait: TryPut, TryFetch, TryPeek, TryWait and TryRead are Put and so on for a loop that serves others
// as well. Where they would wait for the disk, or for a great many items to be passed over that have expired, are
// taken or damaged, they are ErrUnready: then the background goes on with it, in slices, and ReadyThen tells when
// to try again. There is one that passes over for each queue, however many callers wait.

import (
	"container/list"
	"errors"
)

// skipping is the passing over that is under way. Store.mu guards it.
type skipping struct {
	on      bool
	waiting list.List // of func(): who waits for it
	err     error     // what ended it, for the first of them
}

// TryPut is Put that does not wait: it is ErrNotLoaded for a queue that is not, which Make changes, and
// ErrBehind where CatchUpThen tells when to try again. After another error call Relieve.
func (q *Queue) TryPut(payload []byte, m Meta) error { return q.store.tryPut(payload, m) }

// Relieve does what can be done about a refusal of TryPut, and waits for the disk: nil means to try again. Of a queue
// whose first item was refused nothing is left.
func (q *Queue) Relieve(refused error) error {
	switch {
	case errors.Is(refused, ErrDiscardOldest):
		return q.DiscardOldest(refused)
	case q.Spare(refused):
		return nil
	}
	q.store.rollbackCreate()
	return refused
}

// Spare parks other queues when the system is short of what an operation failed for, and reports whether that is
// worth trying again. It may wait for the disk.
func (q *Queue) Spare(err error) bool { return short(err) && q.store.reg.parkSome(q.store, err) }

// TryFetch is Fetch that does not wait.
func (q *Queue) TryFetch() (Item, bool, error) { return q.tryGet(true, nil) }

// TryPeek is Peek that does not wait.
func (q *Queue) TryPeek() (Item, bool, error) { return q.tryGet(false, nil) }

// TryWait is Waiter.Wait that does not wait for a queue to be loaded: w stands in no line of it then.
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
	out, err := it.home.TryRead(it.Position, dst)
	if err != nil {
		return dst, notClosed(err)
	}
	return out, nil
}

// ReadyThen calls fn once, on another goroutine, when what was ErrUnready should be tried again. It never blocks;
// fn must not either. stop has fn forgotten, unless it is called already or about to be.
func (q *Queue) ReadyThen(fn func()) (stop func()) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	e := q.skip.waiting.PushBack(fn)
	q.goOn()
	return func() {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		q.skip.waiting.Remove(e)
	}
}

// goOn has what is in the way of the head passed over. Store.mu is held.
func (q *Queue) goOn() {
	if !q.skip.on {
		q.skip.on = true
		q.store.wanted++ // lest it is parked
		q.head.ReadyThen(q.passOver)
	}
}

// passOver does a slice of it.
func (q *Queue) passOver() {
	q.store.mu.Lock()
	var buf [wakesAtOnce]func()
	woken, err := q.serve(buf[:0])
	if err == nil {
		var it Item
		var ok bool
		if it, ok, err = q.pop(); ok {
			q.putBack(it)
		}
	}
	if err == ErrUnready {
		q.head.ReadyThen(q.passOver)
	} else {
		q.skip.on = false
		q.store.wanted--
		if q.skip.waiting.Len() > 0 {
			q.skip.err = err
		}
		for e := q.skip.waiting.Front(); e != nil; e = q.skip.waiting.Front() {
			woken = append(woken, q.skip.waiting.Remove(e).(func()))
		}
	}
	q.store.mu.Unlock()
	wake(woken)
}

// ready waits for ReadyThen.
func (q *Queue) ready() {
	done := make(chan struct{})
	q.ReadyThen(func() { close(done) })
	<-done
}
