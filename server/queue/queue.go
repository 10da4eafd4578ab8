package queue

// The queue itself: who gets which item, and where an item is. See the package comment for the
// invariant that everything here keeps.

import (
	"errors"
	"sync"

	"github.com/google/btree"

	"github.com/darner/darner/wal"
)

// Queue is the handle of one name, whether there is a queue of that name or not: a Put makes it
// exist, a delete ends that, and the handle serves on. All methods may be called from any
// goroutine, and load the log of a parked queue by themselves.
type Queue struct {
	name string
	reg  *Registry

	loading sync.Mutex // while the log is opened, parked or deleted

	mu       sync.Mutex                   // guards all below
	log      *wal.Log                     // nil while parked or not existing
	head     *wal.Consumer                // of log
	returned *btree.BTreeG[Item]          // waiting, and older than all that head will hand out
	line     line                         // callers that wait for an item
	open     int                          // open reads
	held     struct{ items, bytes int64 } // of the open reads, what a flush has not taken
	uploads  int                          // large items on their way in
	skip     skipping                     // what is in the way of the head
	wanted   int                          // callers that have it loaded in order to use it
	used     uint64                       // Registry.clock when it was last used
	marks    []mark                       // where eras of the clock begin
	exists   bool                         // on disk
	due      int64                        // when it is to be seen to, Unix ms: as a rule when its head expires; 0 never
	broken   error                        // the log failed when it was parked: final until restart or delete
	unready  *unready                     // the log could not be opened; nil while all is well
	counts   counts
	snapshot *figures // of a queue that is not loaded; nil until somebody has looked at it
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// expirySlice is how many expired items are dropped in one hold of the lock.
const expirySlice = 64

// Put appends an item. When it returns, the item survives the death of the process and is visible,
// or in the hands of the first waiter. Errors: wal.ErrTooLarge for an item to go through Create,
// wal.ErrFull, which may be an ErrLimit or ErrMakeRoom, wal.ErrBehind, which CatchUpThen waits for, wal.ErrFailed,
// ErrClosed; nothing was stored then. When the system is short of something other queues are parked for it.
// It may wait for the disk: see TryPut.
func (q *Queue) Put(payload []byte, m wal.Meta) error {
	err := q.put(payload, m)
	if q.Spare(err) {
		err = q.put(payload, m)
	}
	if err != nil && !errors.Is(err, wal.ErrBehind) {
		q.undo()
	}
	return err
}

func (q *Queue) put(payload []byte, m wal.Meta) error {
	for {
		if err := q.lock(true); err != nil {
			return err
		}
		l := q.log
		err := q.store(payload, m)
		if err != wal.ErrUnready {
			return err
		}
		l.CatchUp()
	}
}

// store appends to the log, which is loaded, and settles. q.mu is held.
func (q *Queue) store(payload []byte, m wal.Meta) error {
	era := q.adopt(&m)
	p, err := q.log.TryAppend(payload, m)
	if err == nil {
		q.noteEra(p.Seq, era)
	}
	q.settle()
	return err
}

// Fetch opens the head for the caller; false when nothing waits.
func (q *Queue) Fetch() (Item, bool, error) { return q.get(true, nil) }

// Peek shows the head; false when nothing waits. It may be gone by the time it is read.
func (q *Queue) Peek() (Item, bool, error) { return q.get(false, nil) }

// Confirm ends an open read: the item is gone for good. An error means that it may come again
// after a restart. Of an item that was flushed or deleted meanwhile nothing is left to be done.
func (q *Queue) Confirm(it Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, live := q.release(it); !live {
		return nil
	}
	return q.head.Take(it.Position)
}

// Return ends an open read: the item waits again in its old place, or goes to the first waiter.
// One that was flushed or deleted meanwhile is discarded.
func (q *Queue) Return(it Item) {
	q.mu.Lock()
	ours, live := q.release(it)
	q.used = q.reg.clock.Load()
	if ours {
		q.counts.returned++
	}
	if live {
		q.putBack(it)
	} else if ours {
		q.counts.discarded++
	}
	q.settle()
}

// Drop gives an item up whose payload is damaged: it is gone for good and counted as damaged. It
// is for open and for peeked items, and harmless for one that is gone already.
func (q *Queue) Drop(it Item) {
	if q.drop(it) {
		q.reg.logger.Error("damaged item is dropped", "queue", q.name, "item", it.Seq, "bytes", it.Size)
	}
}

func (q *Queue) drop(it Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, lost := q.release(it)
	if it.peeked && it.home == q.log && q.log != nil {
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
	if err := q.lock(false); err != nil {
		return err
	}
	defer q.mu.Unlock()
	if q.log == nil {
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

// SyncThen calls fn once, on another goroutine, when all that was put and confirmed before the
// call is on stable storage, or with the error that prevents it. fn must not block.
func (q *Queue) SyncThen(fn func(error)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.log != nil {
		q.log.SyncThen(fn)
		return
	}
	go func() { fn(q.parkedErr()) }()
}

// get is tryGet that waits for the disk.
func (q *Queue) get(take bool, w *Waiter) (it Item, ok bool, err error) {
	for spared := false; ; {
		if err := q.lock(false); err != nil {
			return Item{}, false, err
		}
		it, ok, err = q.getLocked(take, w)
		switch {
		case err == wal.ErrUnready:
			q.ready()
		case !spared && q.Spare(err):
			spared = true
		default:
			return it, ok, err
		}
	}
}

func (q *Queue) tryGet(take bool, w *Waiter) (it Item, ok bool, err error) {
	q.mu.Lock()
	if q.log == nil && q.exists {
		q.mu.Unlock()
		return Item{}, false, wal.ErrUnready
	}
	q.used = q.reg.clock.Load()
	return q.getLocked(take, w)
}

// getLocked is the one way to an item: it opens or shows the head to the caller, or for w, which takes
// its place in the line when nothing is there, or nothing yet. Who stands in line already goes first. It gives up the
// lock.
func (q *Queue) getLocked(take bool, w *Waiter) (it Item, ok bool, err error) {
	var buf [wakesAtOnce]func()
	woken, err := q.serve(buf[:0])
	if err == nil {
		err, q.skip.err = q.skip.err, nil
	}
	if err == nil {
		it, ok, err = q.pop()
	}
	if w != nil && err == wal.ErrUnready {
		q.goOn()
		err = nil
	}
	switch {
	case ok:
		ok = q.hand(&it, take, w)
	case w != nil && err == nil:
		q.line.add(w.stand(q))
	}
	q.mu.Unlock()
	wake(woken)
	return it, ok, err
}

// hand gives an item that was popped to the caller, or to w unless another queue was quicker.
func (q *Queue) hand(it *Item, take bool, w *Waiter) bool {
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

// pop takes the head from what waits, and drops what has expired on the way. wal.ErrUnready means that a
// slice of those was dropped and there may be more, or that the log has to be waited for: see ReadyThen.
func (q *Queue) pop() (it Item, ok bool, err error) {
	if q.log == nil {
		return Item{}, false, nil
	}
	for range expirySlice {
		it, ok, err = q.next()
		if !ok || !q.expired(it) {
			return it, ok, err
		}
		if err := q.head.Take(it.Position); err != nil {
			q.putBack(it)
			return Item{}, false, err
		}
		q.counts.expired++
	}
	return Item{}, false, wal.ErrUnready
}

func (q *Queue) next() (Item, bool, error) {
	if it, ok := q.returned.DeleteMin(); ok {
		return it, true, nil
	}
	p, m, ok, err := q.head.TryNext()
	return Item{Position: p, Enqueued: m.Enqueued, Expires: m.Expires, fixed: m.Fixed, home: q.log}, ok, err
}

func (q *Queue) putBack(it Item) {
	it.peeked = false
	q.returned.ReplaceOrInsert(it)
}

// release ends an open read: ours unless it was none or the queue was deleted since, and live
// unless it was flushed since.
func (q *Queue) release(it Item) (ours, live bool) {
	if it.peeked || it.home != q.log || q.log == nil {
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

// settle serves the line and gives up the lock.
func (q *Queue) settle() {
	var buf [wakesAtOnce]func()
	woken, _ := q.serve(buf[:0])
	q.mu.Unlock()
	wake(woken)
}
