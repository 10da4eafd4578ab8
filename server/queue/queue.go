package queue

// The queue itself: who gets which item, and where an item is. See the package comment for the
// invariant that everything here keeps.

import (
	"errors"

	"github.com/google/btree"
)

// Queue is the handle of one name, whether there is a queue of that name or not: a Put makes it
// exist, a delete ends that, and the handle serves on. All methods may be called from any
// goroutine, and load the log of a parked queue by themselves.
//
// It is one cursor of a store's log, and knows of that which items are in hand or came back. Its state
// is guarded by store.mu.
type Queue struct {
	store  *store
	reader string // the cursor's name; "" for the store's own queue

	head     cursor                       // nothing while not loaded
	returned *btree.BTreeG[Item]          // waiting, and older than all that head will hand out; nil while not loaded
	line     line                         // callers that wait for an item
	lineAt   int                          // of store.inLine, where it is while anybody waits
	open     int                          // open reads
	held     struct{ items, bytes int64 } // of the open reads, what a flush has not taken
	skip     skipping                     // what is in the way of the head
	due      int64                        // when it is to be seen to, Unix ms: as a rule when its head expires; 0 never
	counts   counts
	snapshot *figures // while it is not loaded; nil until somebody has looked at it
}

// Name is the queue's name.
func (q *Queue) Name() string {
	if q.reader == "" {
		return q.store.name
	}
	return q.store.name + "+" + q.reader
}

// expirySlice is how many expired items are dropped in one hold of the lock.
const expirySlice = 64

// Put appends an item. When it returns, the item survives the death of the process and is visible,
// or in the hands of the first waiter. Errors: ErrTooLarge for an item to go through Create,
// ErrFull, which may be an ErrLimit or ErrDiscardOldest, ErrBehind, which CatchUpThen waits for, ErrFailed,
// ErrClosed; nothing was stored then. When the system is short of something other queues are parked for it.
// It may wait for the disk: see TryPut.
func (q *Queue) Put(payload []byte, m Meta) error {
	s := q.store
	err := s.put(payload, m)
	if q.Spare(err) {
		err = s.put(payload, m)
	}
	if err != nil && !errors.Is(err, ErrBehind) {
		s.rollbackCreate()
	}
	return err
}

// SyncThen calls fn once, on another goroutine, when all that was put and confirmed before the
// call is on stable storage, or with the error that prevents it. fn must not block.
func (q *Queue) SyncThen(fn func(error)) { q.store.syncThen(fn) }

// CatchUpThen calls fn once, on another goroutine, when what was refused with ErrBehind should be tried again,
// also where the disk is not going to catch up or the queue is deleted: trying says so. It never blocks; fn must
// not either. stop has fn forgotten, unless it is called already or about to be.
func (q *Queue) CatchUpThen(fn func()) (stop func()) { return q.store.catchUpThen(fn) }

// Fetch opens the head for the caller; false when nothing waits.
func (q *Queue) Fetch() (Item, bool, error) { return q.get(true, nil) }

// Peek shows the head; false when nothing waits. It may be gone by the time it is read.
func (q *Queue) Peek() (Item, bool, error) { return q.get(false, nil) }

// Confirm ends an open read: the item is gone for good. An error means that it may come again
// after a restart. Of an item that was flushed or deleted meanwhile nothing is left to be done.
func (q *Queue) Confirm(it Item) error {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if _, live := q.release(it); !live {
		return nil
	}
	return q.head.Take(it.Position)
}

// Return ends an open read: the item waits again in its old place, or goes to the first waiter.
// One that was flushed or deleted meanwhile is discarded.
func (q *Queue) Return(it Item) {
	s := q.store
	s.mu.Lock()
	ours, live := q.release(it)
	s.used = s.reg.tick.Load()
	if ours {
		q.counts.returned++
	}
	if live {
		q.putBack(it)
	} else if ours {
		q.counts.discarded++
	}
	s.serveAndUnlock()
}

// Drop gives an item up whose payload is damaged: it is gone for good and counted as damaged. It
// is for open and for peeked items, and harmless for one that is gone already.
func (q *Queue) Drop(it Item) {
	if q.drop(it) {
		q.store.reg.logger.Error("damaged item is dropped", "queue", q.Name(), "item", it.Seq, "bytes", it.Size)
	}
}

func (q *Queue) drop(it Item) bool {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	_, lost := q.release(it)
	if it.peeked && it.home == q.head {
		_, lost = q.returned.Delete(it)
	}
	if lost {
		q.counts.damaged++
		q.head.Take(it.Position) // if that failed it would come again after a restart, and be dropped again
	}
	return lost
}

// Flush discards all that waits, in constant time. Open items stay open; returned, they are
// discarded. It may wait for the disk when the queue is parked.
func (q *Queue) Flush() error {
	there, err := q.store.lockLoaded(false)
	if err != nil {
		return err
	}
	defer q.store.mu.Unlock()
	if !there {
		return nil
	}
	if err := q.head.SkipToEnd(); err != nil {
		return err
	}
	q.returned.Clear(true)
	q.held.items, q.held.bytes = 0, 0
	q.counts.flushes++
	return nil
}

// get is tryGet that waits for the disk.
func (q *Queue) get(take bool, w *Waiter) (it Item, ok bool, err error) {
	for spared := false; ; {
		if _, err := q.store.lockLoaded(false); err != nil {
			return Item{}, false, err
		}
		it, ok, err = q.getAndUnlock(take, w)
		switch {
		case err == ErrUnready:
			q.ready()
		case !spared && q.Spare(err):
			spared = true
		default:
			return it, ok, err
		}
	}
}

func (q *Queue) tryGet(take bool, w *Waiter) (it Item, ok bool, err error) {
	if err := q.store.lockIfLoaded(); err != nil {
		return Item{}, false, err
	}
	return q.getAndUnlock(take, w)
}

// getAndUnlock is the one way to an item: it opens or shows the head to the caller, or for w, which takes
// its place in the line when nothing is there, or nothing yet. Who stands in line already goes first. Store.mu
// is given up.
func (q *Queue) getAndUnlock(take bool, w *Waiter) (it Item, ok bool, err error) {
	var buf [wakesAtOnce]func()
	woken, err := q.serve(buf[:0])
	if err == nil {
		err, q.skip.err = q.skip.err, nil
	}
	if err == nil {
		it, ok, err = q.pop()
	}
	if w != nil && err == ErrUnready {
		q.goOn()
		err = nil
	}
	switch {
	case ok:
		ok = q.deliver(&it, take, w)
	case w != nil && err == nil:
		q.enterLine(w.stand(q))
	}
	q.store.mu.Unlock()
	wake(woken)
	return it, ok, err
}

// deliver gives an item that was popped to the caller, or to w unless another queue was quicker.
func (q *Queue) deliver(it *Item, take bool, w *Waiter) bool {
	if !take {
		q.putBack(*it)
		it.peeked = true
	}
	if w != nil && !w.claim(q, *it) {
		if take {
			q.putBack(*it)
		}
		return false
	}
	if take {
		q.open++
		q.held.items++
		q.held.bytes += it.Size
		q.counts.fetched++
	}
	return true
}

// pop takes the head from what waits, and drops what has expired on the way. ErrUnready means that a
// slice of those was dropped and there may be more, or that the log has to be waited for: see ReadyThen.
func (q *Queue) pop() (it Item, ok bool, err error) {
	for range expirySlice {
		it, ok, err = q.next()
		if !ok || !q.store.hasExpiredLocked(it) {
			return it, ok, err
		}
		if err := q.head.Take(it.Position); err != nil {
			q.putBack(it)
			return Item{}, false, err
		}
		q.counts.expired++
	}
	return Item{}, false, ErrUnready
}

func (q *Queue) next() (Item, bool, error) {
	if q.returned != nil {
		if it, ok := q.returned.DeleteMin(); ok {
			return it, true, nil
		}
	}
	p, m, ok, err := q.head.TryNext()
	return Item{Position: p, Enqueued: m.Enqueued, Expires: m.Expires, home: q.head, fixed: m.Fixed}, ok, err
}

func (q *Queue) putBack(it Item) {
	it.peeked = false
	q.returned.ReplaceOrInsert(it)
}

// release ends an open read: ours unless it was none or the queue was deleted since, and live
// unless it was flushed since.
func (q *Queue) release(it Item) (ours, live bool) {
	if it.peeked || it.home != q.head {
		return false, false
	}
	q.open--
	if q.head.Taken(it.Position) {
		return true, false
	}
	q.held.items--
	q.held.bytes -= it.Size
	return true, true
}

// detach forgets what belongs to a cursor that is of no use any more. Items in hand notice by their home.
func (q *Queue) detach() {
	q.returned.Clear(true)
	q.head, q.returned, q.skip.err = nothing{}, nil, nil
	q.open = 0
	q.held.items, q.held.bytes = 0, 0
}

// end is detach for good: those in line are sent away, and what was counted is forgotten. It returns whom to wake.
func (q *Queue) end() (woken []func()) {
	if q.returned != nil {
		q.detach()
	}
	q.snapshot, q.counts, q.due = nil, counts{}, 0
	return q.dismiss()
}
