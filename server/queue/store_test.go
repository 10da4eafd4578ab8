package queue

// Several queues over one store: what is put is in each of them, and each is read for itself.

import (
	"fmt"
	"testing"

	"github.com/darner/darner/wal"
)

// joined returns a store's queue of another cursor.
func joined(t testing.TB, q *Queue, name string) *Queue {
	t.Helper()
	other, err := q.store.join(name)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// eachLog runs a test on a queue of either log.
func eachLog(t *testing.T, test func(t *testing.T, q *Queue)) {
	for _, kind := range anyLog {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			o := small()
			o.logs = kind.logs()
			test(t, named(t, open(t, t.TempDir(), o), "work"))
		})
	}
}

func TestEachQueueOfAStoreGetsAllItems(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		put(t, q, "before")
		audit := joined(t, q, "audit")
		put(t, q, "a", "b", "c")
		wants(t, q, "before", "a", "b", "c")
		wants(t, audit, "a", "b", "c")
		wants(t, q)
	})
}

func TestAnItemOfOneQueueIsNothingToAnother(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit := joined(t, q, "audit")
		put(t, q, "a", "b")
		it := fetch(t, q)
		if err := audit.Confirm(it); err != nil {
			t.Fatal(err)
		}
		audit.Return(it)
		audit.Drop(it)
		wants(t, audit, "a", "b")
		q.Return(it)
		wants(t, q, "a", "b")
		if s := audit.Stats(); s.Open != 0 || s.Canceled != 0 || s.Damaged != 0 {
			t.Errorf("got %+v, want no trace of another queue's item", s)
		}
	})
}

func TestReturnsAndFlushesOfAQueueLeaveTheOthers(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit := joined(t, q, "audit")
		put(t, q, "a", "b", "c")
		it := fetch(t, audit)
		audit.Hold(&it)
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
		wants(t, q)
		audit.Return(it)
		if s := audit.Stats(); s.Items != 3 || s.Flushes != 0 || s.Canceled != 1 {
			t.Errorf("got %+v, want 3 items, none flushed and one returned", s)
		}
		wants(t, audit, "a", "b", "c")
	})
}

func TestTheLogKeepsWhatAnyQueueHasYetToTake(t *testing.T) {
	logs := inMemory()
	o := small()
	o.logs = logs
	q := named(t, open(t, t.TempDir(), o), "work")
	audit := joined(t, q, "audit")
	put(t, q, "a", "b", "c")
	held := func(want ...uint64) {
		t.Helper()
		if got := logs.logs[q.store.dir()].held(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the log keeps %v, want %v", got, want)
		}
	}
	wants(t, q, "a", "b", "c")
	held(1, 2, 3)
	take(t, audit)
	held(2, 3)
	last := fetch(t, audit)
	if err := audit.Confirm(fetch(t, audit)); err != nil {
		t.Fatal(err)
	}
	held(2)
	if err := audit.Confirm(last); err != nil {
		t.Fatal(err)
	}
	held()
}

func TestAQueueOfAStoreGetsAllItHasYetToTakeAfterARestart(t *testing.T) {
	for _, kind := range anyLog {
		t.Run(kind.name, func(t *testing.T) {
			o := small()
			o.logs = kind.logs()
			r := open(t, t.TempDir(), o)
			q := named(t, r, "work")
			audit := joined(t, q, "audit")
			const n = 3000 // several segments, which would be deleted
			var left []string
			for i := range n {
				put(t, q, fmt.Sprintf("%d %100d", i, i))
				if i%3 > 0 {
					left = append(left, fmt.Sprintf("%d %100d", i, i))
				}
			}
			var hand []Item
			for i := range n {
				it := fetch(t, audit)
				if i%3 > 0 {
					hand = append(hand, it)
				} else if err := audit.Confirm(it); err != nil {
					t.Fatal(err)
				}
				take(t, q)
			}
			if len(hand) != len(left) || audit.Stats().Open != len(hand) {
				t.Fatalf("%d are open, want %d", audit.Stats().Open, len(left))
			}
			r = reopen(t, r)
			q = named(t, r, "work")
			wants(t, q)
			wants(t, joined(t, q, "audit"), left...)
		})
	}
}

func TestAPutServesTheWaitersOfAllQueues(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit, third := joined(t, q, "audit"), joined(t, q, "third")
		own, ownWoken := waitIn(t, q)
		other, otherWoken := waitIn(t, audit)
		nobody := third.waiters.n
		put(t, q, "a")
		<-ownWoken
		<-otherWoken
		if from, it, ok := own.Stop(); !ok || from != q || text(t, q, it) != "a" {
			t.Errorf("got %v for the store's own queue, want a", ok)
		}
		if from, it, ok := other.Stop(); !ok || from != audit || text(t, audit, it) != "a" {
			t.Errorf("got %v for the other queue, want a", ok)
		}
		if nobody != 0 || len(q.store.waited) != 0 {
			t.Errorf("got %d queues in which somebody waits, want none", len(q.store.waited))
		}
		wants(t, third, "a")
	})
}

func TestOneWaiterWaitsInSeveralQueuesOfAStore(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit := joined(t, q, "audit")
		w, woken := waitIn(t, audit, q)
		put(t, q, "a")
		<-woken
		from, it, ok := w.Stop()
		if !ok {
			t.Fatal("got no claim, want one")
		}
		if err := from.Confirm(it); err != nil {
			t.Fatal(err)
		}
		left := map[*Queue]*Queue{q: audit, audit: q}[from]
		wants(t, from)
		wants(t, left, "a")
	})
}

func TestQueuesOfAParkedStoreGoOnWhereTheyWere(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit := joined(t, q, "audit")
		put(t, q, "a", "b", "c")
		take(t, audit)
		it := fetch(t, audit)
		if q.store.park(1 << 60) {
			t.Fatal("got a parked store, want it loaded while an item is open")
		}
		audit.Return(it)
		park(t, q)
		if s, known := audit.KnownStats(); !known || s.Items != 2 {
			t.Errorf("got %d items, %v, want the 2 that are left of a parked queue", s.Items, known)
		}
		if _, _, err := audit.TryFetch(); err != ErrNotLoaded {
			t.Errorf("got %v of a parked queue, want ErrNotLoaded", err)
		}
		wants(t, audit, "b", "c")
		wants(t, q, "a", "b", "c")
		audit.Return(it) // of the cursor before
		wants(t, audit)
	})
}

func TestAQueueThatLeavesItsStoreSendsItsWaitersAway(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit := joined(t, q, "audit")
		put(t, q, "a", "b")
		it := fetch(t, audit)
		wants(t, audit, "b")
		w, woken := waitIn(t, audit)
		if err := audit.Delete(); err != nil {
			t.Fatal(err)
		}
		<-woken
		if _, _, ok := w.Stop(); ok {
			t.Error("got an item of a queue that was deleted, want none")
		}
		if err := audit.Confirm(it); err != nil {
			t.Fatal(err)
		}
		wants(t, audit)
		if got := cursorsOf(q.store); len(got) != 1 {
			t.Errorf("got cursors %q, want the store's own", got)
		}
		put(t, q, "c")
		wants(t, q, "a", "b", "c")
		again := joined(t, q, "audit")
		put(t, q, "d")
		wants(t, again, "d")
	})
}

func TestADeletedStoreEndsItsQueues(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit := joined(t, q, "audit")
		put(t, q, "a")
		it := fetch(t, audit)
		w, woken := waitIn(t, audit)
		if err := q.Delete(); err != nil {
			t.Fatal(err)
		}
		<-woken
		if _, _, ok := w.Stop(); ok {
			t.Error("got an item of a queue that was deleted, want none")
		}
		audit.Return(it)
		wants(t, audit)
		put(t, q, "b")
		wants(t, audit)
		if err := audit.Flush(); err != nil {
			t.Errorf("got %v for a queue that ended, want nothing to flush", err)
		}
		if _, err := audit.Wait(NewWaiter(func() {})); err == nil {
			t.Error("got no error, want one: nothing will come to a queue that ended")
		}
		wants(t, q, "b")
		if err := audit.Delete(); err != nil {
			t.Errorf("got %v for a queue that ended, want no error", err)
		}
	})
}

func TestQueuesOfAStoreExpireEachForItself(t *testing.T) {
	eachLog(t, func(t *testing.T, q *Queue) {
		audit := joined(t, q, "audit")
		if err := q.Put([]byte("old"), wal.Meta{Expires: 1}); err != nil {
			t.Fatal(err)
		}
		put(t, q, "new")
		wants(t, q, "new")
		if s := audit.Stats(); s.Items != 1 || s.Expired != 1 {
			t.Errorf("got %d items and %d expired, want 1 and 1", s.Items, s.Expired)
		}
		if s := q.Stats(); s.Expired != 1 {
			t.Errorf("got %d expired, want 1", s.Expired)
		}
		wants(t, audit, "new")
	})
}
