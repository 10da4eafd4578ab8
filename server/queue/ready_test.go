package queue

// What must not wait is answered in a bounded time, and the rest goes on in the background.

import (
	"errors"
	"math"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func putExpired(t *testing.T, q *Queue, n int) {
	t.Helper()
	for range n {
		if err := q.Put([]byte("expired"), wal.Meta{Expires: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// fetchReady fetches as a loop does.
func fetchReady(t *testing.T, q *Queue) (it Item, ok bool) {
	t.Helper()
	for {
		it, ok, err := q.TryFetch()
		if err == nil {
			return it, ok
		}
		if err != wal.ErrUnready {
			t.Fatal(err)
		}
		q.waitReady()
	}
}

func TestAFetchPassesOverASliceOfExpiredItemsAndComesBackForTheRest(t *testing.T) {
	q := newQueue(t)
	const n = 20*expirySlice + 1
	putExpired(t, q, n)
	put(t, q, "live", "next")
	_, ok, err := q.TryFetch()
	if n := q.lossesLocked().expired; ok || err != wal.ErrUnready || n != expirySlice {
		t.Fatalf("got %v, %v after %d expired, want ErrUnready after %d", ok, err, n, expirySlice)
	}
	it, ok := fetchReady(t, q)
	if !ok || text(t, q, it) != "live" || q.Stats().Expired != n {
		t.Fatalf("got %v after %d expired, want an item after %d", ok, q.Stats().Expired, n)
	}
	wants(t, q, "next")
	if q.store.pins != 0 {
		t.Errorf("got %d pins, want none", q.store.pins)
	}
}

func TestNothingIsFoundAfterExpiredItemsOnly(t *testing.T) {
	q := newQueue(t)
	putExpired(t, q, 5*expirySlice)
	if _, ok := fetchReady(t, q); ok {
		t.Error("got an item, want none")
	}
}

func TestWaitersGetTheItemAfterManyThatHaveExpiredInTheirOrder(t *testing.T) {
	q := newQueue(t)
	putExpired(t, q, 10*expirySlice)
	w1, woken1 := tryWaitIn(t, q)
	w2, woken2 := tryWaitIn(t, q)
	put(t, q, "first", "second")
	<-woken1
	<-woken2
	for i, w := range []*Waiter{w1, w2} {
		if _, it, ok := w.Stop(); !ok || text(t, q, it) != []string{"first", "second"}[i] {
			t.Errorf("waiter %d: got an item %v, want its own", i, ok)
		}
	}
}

func tryWaitIn(t *testing.T, q *Queue) (*Waiter, chan bool) {
	t.Helper()
	woken := make(chan bool, 1)
	w := NewWaiter(func() { woken <- true })
	if claimed, err := q.TryWait(w); claimed || err != nil {
		t.Fatalf("got a claim %v, %v, want none yet", claimed, err)
	}
	return w, woken
}

func TestAQueueThatIsDeletedWhileItsExpiredItemsArePassedOverKeepsNobodyWaiting(t *testing.T) {
	q := newQueue(t)
	putExpired(t, q, 50*expirySlice)
	called := make(chan struct{}, 1)
	q.ReadyThen(func() { called <- struct{}{} })
	stop := q.ReadyThen(func() { t.Error("got a call after stop, want none") })
	stop()
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	<-called
	put(t, q, "fresh")
	wants(t, q, "fresh")
	if q.store.pins != 0 {
		t.Errorf("got %d pins, want none", q.store.pins)
	}
}

func TestWhatIsNotLoadedIsNotReady(t *testing.T) {
	q := newQueue(t)
	if err := q.TryPut([]byte("x"), wal.Meta{}); err != ErrNotLoaded {
		t.Errorf("got %v of a queue that does not exist, want ErrNotLoaded", err)
	}
	if _, ok, err := q.TryFetch(); ok || err != nil {
		t.Errorf("got %v, %v of a queue that does not exist, want no item", ok, err)
	}
	put(t, q, "a")
	park(t, q)
	if _, _, err := q.TryFetch(); err != ErrNotLoaded {
		t.Errorf("got %v of a parked queue, want ErrNotLoaded", err)
	}
	if _, err := q.TryWait(NewWaiter(func() {})); err != ErrNotLoaded || q.waiters.n != 0 {
		t.Errorf("got %v and %d waiters of a parked queue, want ErrNotLoaded and none", err, q.waiters.n)
	}
	wants(t, q, "a")
}

// A call that hangs under a lock would hang the test.
func TestNothingThatIsTriedWaitsForTheDisk(t *testing.T) {
	for _, op := range []disktest.Op{
		disktest.OpCreate, disktest.OpOpen, disktest.OpAllocate, disktest.OpMap, disktest.OpRemove,
		disktest.OpRename, disktest.OpSync, disktest.OpSyncDir, disktest.OpTruncate,
	} {
		t.Run(string(op), func(t *testing.T) {
			fs := disktest.New()
			o := small()
			o.Log.FS = fs
			q := named(t, open(t, "/data", o), "work")
			put(t, q, "a", "b", "c", "d")
			gate := make(chan struct{})
			fs.Fail(func(called disktest.Op, _ string, _ int) error {
				if called == op {
					<-gate
				}
				return nil
			})
			defer close(gate)
			var err error
			for n := 0; err == nil && n < 10_000; n++ {
				err = q.TryPut([]byte("an item of some length"), wal.Meta{})
			}
			if err != nil && !errors.Is(err, ErrBacklog) {
				t.Fatal(err)
			}
			var taken []Item
			for range 300 {
				it, ok, err := q.TryFetch()
				if err != nil && err != wal.ErrUnready {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if _, err := q.TryRead(it, nil); err != nil && err != wal.ErrUnready {
					t.Fatal(err)
				}
				taken = append(taken, it)
			}
			for i := len(taken) - 1; i >= 0; i -= 2 { // out of order: each has an entry of its own
				if err := q.Confirm(taken[i]); err != nil {
					t.Fatal(err)
				}
			}
			for i := len(taken) - 2; i >= 0; i -= 2 {
				q.Return(taken[i])
			}
			if s := q.Stats(); s.Open != 0 {
				t.Errorf("got %d items open, want none", s.Open)
			}
		})
	}
}

// Its log would not know of the loan when it is opened again, and use the segment for other items.
func TestAQueueIsNotParkedWhileAPayloadIsLent(t *testing.T) {
	q := newQueue(t)
	put(t, q, "item")
	it, _, err := q.TryPeek()
	if err != nil {
		t.Fatal(err)
	}
	loan, err := q.TryBorrow(it)
	if err != nil || string(loan.Payload) != "item" {
		t.Fatalf("got %q, %v, want the item", loan.Payload, err)
	}
	if q.store.park(math.MaxUint64) {
		t.Error("got it parked, want it not")
	}
	loan.Release()
	park(t, q)
}

// parkedOver is a cursor whose queue is parked, as far as that shows, while it lends.
type parkedOver struct {
	cursor
	q *Queue
}

func (c *parkedOver) TryBorrow(p Position) (Loan, error) {
	setCursor(c.q, noCursor{})
	return c.cursor.TryBorrow(p)
}

func TestALoanThatBeginsWhileTheQueueIsParkedIsNone(t *testing.T) {
	q := newQueue(t)
	put(t, q, "item")
	whole := q.cursor
	setCursor(q, &parkedOver{whole, q})
	it, _, err := q.TryPeek()
	if err != nil {
		t.Fatal(err)
	}
	if loan, err := q.TryBorrow(it); err != ErrGone || len(loan.Payload) > 0 {
		t.Errorf("got %q, %v, want ErrGone", loan.Payload, err)
	}
	if q.store.log.Lent() {
		t.Error("got a loan that nobody ends, want none")
	}
	setCursor(q, whole)
}

func setCursor(q *Queue, c cursor) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	q.cursor = c
}
