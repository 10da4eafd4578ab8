package queue

// The queue itself: who gets which item, and where an item is. See the package comment for the
// invariant that everything here keeps.

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/google/btree"
)

// Queue is the handle of one name, whether a queue of that name exists or not: a Put creates it, a
// Delete ends it, and the handle remains valid. All methods may be called from any goroutine, and
// load the log of a parked queue by themselves.
//
// It is one cursor of a store's log, and knows which items are open and which came back. Its state
// is guarded by store.mu.
type Queue struct {
	store  *store
	reader string // the cursor's name; "" for the store's own queue

	cursor cursor // noCursor while not loaded

	// Items that wait, and are older than all that cursor will hand out; nil while not loaded.
	returned *btree.BTreeG[Item]

	waiters    waitQueue // callers that wait for an item
	waitedAt   int       // index in store.waited, while anybody waits
	opens      opens     // open reads
	openTotals sum       // of the open reads, without what was flushed
	skip       *skipping // nil unless something before the head was skipped
	agenda     *agenda   // nil unless something is on it
	loaded     loadedAt  // what was put there when the log was opened
	more       More      // of the item that the cursor has handed out last

	// Items that are in the log, and neither wait nor are open.
	passed sum              // expired ones that the cursor has passed: see expire.go
	dead   []Item           // that were delivered too often, on their way to another queue
	moving map[uint64]int64 // that are being moved, with their sizes; nil if none is

	deadStay bool // the other queue did not take one of dead

	sweeping   sync.Mutex // held by the walk through what has expired, before Store.mu
	stuckUntil int64      // Unix ms: the other queue takes no expired items before

	// When to clean up, in Unix ms; 0 is never. As a rule it is when the head expires.
	due int64

	counts   counts
	held     atomic.Uint64 // transactions: see Hold
	lost     *losses       // nil until there are any
	snapshot *figures      // while it is not loaded; nil while they are unknown
}

// sum adds up items.
type sum struct{ items, bytes int64 }

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
// or the first waiter has it. It may wait for the disk: see TryPut. When the system is short of
// something, other queues are parked for it.
//
// After an error nothing was stored: ErrTooLarge for an item that has to go through BeginLarge;
// ErrFull, which may be an ErrLimit or ErrDiscardOldest; ErrBacklog, which CatchUpThen waits for;
// ErrFailed; ErrClosed.
func (q *Queue) Put(payload []byte, m Meta) error {
	s := q.store
	err := s.put(payload, m)
	if q.Reclaim(err) {
		err = s.put(payload, m)
	}
	if err != nil && !errors.Is(err, ErrBacklog) {
		s.rollbackCreate()
	}
	return err
}

// SyncThen calls fn once, on another goroutine, when all that was put and confirmed before the
// call is on stable storage, or with the error that prevents it. fn must not block.
func (q *Queue) SyncThen(fn func(error)) { q.store.syncThen(fn) }

// CatchUpThen calls fn once, on another goroutine, when what was refused with ErrBacklog should be
// tried again. It does so too if the disk is not going to catch up, or the queue is deleted: the
// new attempt returns why. It never blocks; fn must not either. stop cancels the call unless it has
// begun or is about to.
func (q *Queue) CatchUpThen(fn func()) (stop func()) { return q.store.catchUpThen(fn) }

// Fetch opens the head for the caller; false when nothing waits.
func (q *Queue) Fetch() (Item, bool, error) { return q.get(true, nil) }

// Peek shows the head; false when nothing waits. It may be gone by the time it is read.
func (q *Queue) Peek() (Item, bool, error) { return q.get(false, nil) }

// Hold notes that an open item stays with the client until that says what becomes of it: it counts
// as a transaction, and as canceled if it is returned. From now on it is open for at most the
// open-timeout of the queue, if there is one, and then goes back.
func (q *Queue) Hold(it *Item) {
	it.held = true
	q.held.Add(1)
	if q.store.settings().OpenTimeout > 0 {
		q.store.mu.Lock()
		q.timeLocked(*it)
		q.store.mu.Unlock()
	}
}

// HasEnded reports whether an open read has ended, as by a timeout. One of a queue that was deleted
// has not.
func (q *Queue) HasEnded(it Item) bool {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	return it.cursor == q.cursor && !q.opens.has(it.ticket, it.Seq)
}

// Confirm ends an open read: the item is gone for good. An error means that it may come again
// after a restart, or ErrNotOpen that somebody ended the read before. Nothing is done about an item
// that was flushed or deleted meanwhile.
func (q *Queue) Confirm(it Item) error {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	_, live, err := q.releaseLocked(it)
	if !live {
		return err
	}
	return q.cursor.Take(it.Position)
}

// Return ends an open read: the item waits again in its old place, or goes to the first waiter.
// One that was flushed or deleted meanwhile is discarded. The only error is ErrNotOpen: somebody
// ended the read before.
func (q *Queue) Return(it Item) error {
	s := q.store
	s.mu.Lock()
	err := q.returnLocked(it)
	s.lastUse = s.reg.tick.Load()
	s.serveAndUnlock()
	return err
}

// returnLocked is Return that leaves the waiters to the caller.
func (q *Queue) returnLocked(it Item) error {
	ours, live, err := q.releaseLocked(it)
	if ours && it.held {
		q.counts.canceled++
	}
	switch {
	case live:
		q.comeBackLocked(it)
	case ours:
		q.lossesLocked().flushed++
	}
	return err
}

// comeBackLocked has an item wait again that was delivered. The end of the server is no fault of
// the item's: it does not count.
func (q *Queue) comeBackLocked(it Item) {
	if q.store.reg.ending.Load() {
		q.putBackLocked(it)
		return
	}
	it.deliveries++
	if q.store.settings().countDeliveries() {
		q.cursor.NoteDelivered(it.Position, it.deliveries)
	}
	switch {
	case q.hasExpiredLocked(it):
		if q.expireLocked(it) == nil {
			return
		}
	case q.isSpentLocked(it):
		if q.buryLocked(it) == nil {
			return
		}
	case q.retryLocked(it):
		return
	}
	q.putBackLocked(it)
}

// Drop gives up an item whose payload is damaged: it is gone for good, and counted as damaged. It
// is for open and for peeked items, and does nothing for one that is gone already.
func (q *Queue) Drop(it Item) {
	if q.drop(it) {
		reg := q.store.reg
		reg.episodes.Note(damagedItems, q.Name(), 1, nil)
		reg.logger.Debug("damaged item is dropped",
			"queue", q.Name(), "item", it.Seq, "bytes", it.Size)
	}
}

func (q *Queue) drop(it Item) bool {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	_, lost, _ := q.releaseLocked(it)
	if it.peeked && it.cursor == q.cursor {
		_, lost = q.returned.Delete(it)
	}
	if lost {
		q.lossesLocked().damaged++
		_ = q.cursor.Take(it.Position) // if it fails, the item comes after a restart and is dropped
	}
	return lost
}

// Flush discards all that waits, in constant time. Open items stay open; those that are returned
// are discarded then. It may wait for the disk when the queue is parked.
func (q *Queue) Flush() error {
	there, err := q.store.lockLoaded(false)
	if err != nil {
		return err
	}
	defer q.store.mu.Unlock()
	if !there || q.returned == nil { // a queue that left, or of a store that was deleted
		return nil
	}
	if err := q.cursor.SkipToEnd(); err != nil {
		return err
	}
	q.returned.Clear(true)
	q.openTotals, q.passed, q.dead, q.moving = sum{}, sum{}, nil, nil
	q.forgetLaterLocked()
	q.counts.flushes++
	return nil
}

// get is tryGet that waits for the disk.
func (q *Queue) get(take bool, w *Waiter) (it Item, ok bool, err error) {
	for reclaimed := false; ; {
		if _, err := q.store.lockLoaded(false); err != nil {
			return Item{}, false, err
		}
		it, ok, err = q.getAndUnlock(take, w)
		switch {
		case err == ErrUnready:
			q.waitReady()
		case !reclaimed && q.Reclaim(err):
			reclaimed = true
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

// getAndUnlock is the one way to an item: it opens or shows the head to the caller, or for w. When
// there is nothing, or nothing yet, w enters the wait queue. Those who wait already go first.
func (q *Queue) getAndUnlock(take bool, w *Waiter) (it Item, ok bool, err error) {
	if w != nil && q.returned == nil && q.store.loadedLocked() { // it ended: nothing will come
		q.store.mu.Unlock()
		return Item{}, false, errDeleted
	}
	var buf [wakesAtOnce]func()
	woken, err := q.serveWaitersLocked(buf[:0])
	if err == nil {
		err = q.takeSkipErrLocked()
	}
	if err == nil {
		it, ok, err = q.popLocked()
	}
	if w != nil && err == ErrUnready {
		q.skipLocked()
		err = nil
	}
	switch {
	case ok:
		ok = q.deliverLocked(&it, take, w)
	case w != nil && err == nil:
		q.enqueueLocked(w.newEntry(q))
	}
	q.store.mu.Unlock()
	wake(woken)
	return it, ok, err
}

// deliverLocked gives an item that was popped to the caller, or to w unless another queue was
// quicker.
func (q *Queue) deliverLocked(it *Item, take bool, w *Waiter) bool {
	if take {
		it.ticket = q.opens.add(it.Seq)
	} else {
		q.putBackLocked(*it)
		it.peeked = true
	}
	if w != nil && !w.claim(q, *it) {
		if take {
			q.opens.remove(it.ticket, it.Seq)
			q.putBackLocked(*it)
		}
		return false
	}
	if take {
		q.openTotals.items++
		q.openTotals.bytes += it.Size
	}
	return true
}

// popLocked takes the head from what waits, and drops what has expired on the way, or was delivered
// too often. ErrUnready means that a slice of these was dropped and there may be more, or that the
// log needs time: see ReadyThen.
func (q *Queue) popLocked() (it Item, ok bool, err error) {
	set := q.store.settings()
	for range expirySlice {
		it, ok, err = q.nextLocked()
		switch {
		case !ok, it.Expires == 0 && !set.ruleOldItems() && q.moving == nil:
			return it, ok, err
		case q.isMovingLocked(it.Seq): // whoever moves it says what becomes of it
		case q.hasExpiredLocked(it):
			err = q.expireLocked(it)
		case q.isSpentLocked(it):
			err = q.buryLocked(it)
		default:
			return it, ok, err
		}
		if err != nil {
			return Item{}, false, err
		}
	}
	return Item{}, false, ErrUnready
}

// nextLocked takes the next item from what waits, expired or not.
func (q *Queue) nextLocked() (Item, bool, error) {
	if q.agenda != nil {
		return q.nextOnAgendaLocked()
	}
	if q.returned != nil {
		if it, ok := q.returned.DeleteMin(); ok {
			return it, true, nil
		}
	}
	p, m, ok, err := q.cursor.TryNextInto(&q.more)
	if !ok {
		return Item{}, false, err
	}
	if m.More != nil && q.isDeferred(p, m) { // a large one, put just now, or the agenda is done
		return Item{}, false, ErrUnready
	}
	it := newItem(q.cursor, p, m)
	if q.store.settings().countDeliveries() {
		it.deliveries = q.cursor.Deliveries(p.Seq)
	}
	return it, true, nil
}

// itemLocked is an item that the log has found.
func (q *Queue) itemLocked(p Position, m Meta) Item {
	it := newItem(q.cursor, p, m)
	if q.store.settings().countDeliveries() {
		it.deliveries = q.cursor.Deliveries(p.Seq)
	}
	return it
}

func (q *Queue) putBackLocked(it Item) {
	it.peeked, it.Position = false, it.Kept()
	q.returned.ReplaceOrInsert(it)
}

// releaseLocked ends an open read. ours: the item was open in this queue. live: it was not flushed
// meanwhile.
func (q *Queue) releaseLocked(it Item) (ours, live bool, err error) {
	if it.peeked || it.cursor != q.cursor {
		return false, false, nil
	}
	if !q.opens.remove(it.ticket, it.Seq) {
		return false, false, ErrNotOpen
	}
	if q.agenda != nil {
		q.agenda.held.remove(it.ticket)
	}
	if q.cursor.Taken(it.Position) {
		return true, false, nil
	}
	q.openTotals.items--
	q.openTotals.bytes -= it.Size
	return true, true, nil
}

// detachLocked drops all that belongs to a cursor which is no longer in use. Open items notice by
// their cursor.
func (q *Queue) detachLocked() {
	q.returned.Clear(true)
	q.cursor, q.returned = noCursor{}, nil
	q.takeSkipErrLocked()
	q.opens = opens{}
	q.openTotals, q.passed, q.dead, q.moving = sum{}, sum{}, nil, nil
	q.stuckUntil, q.deadStay = 0, false
	q.dropAgendaLocked()
}

// endLocked is detachLocked for good: waiters are released and counts dropped. It returns whom to
// wake.
func (q *Queue) endLocked() (woken []func()) {
	if q.returned != nil {
		q.detachLocked()
	}
	q.snapshot, q.counts, q.lost, q.due = nil, counts{}, nil, 0
	q.held.Store(0)
	return q.releaseWaitersLocked()
}
