package queue

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// fail fetches an item and gives it back.
func fail(t testing.TB, q *Queue, want string) {
	t.Helper()
	it := fetch(t, q)
	if got := text(t, q, it); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if err := q.Return(it); err != nil {
		t.Fatal(err)
	}
}

func TestAnItemThatWasDeliveredTooOftenIsDropped(t *testing.T) {
	q := limited(t, Settings{MaxDeliveries: 3})
	put(t, q, "bad", "good")
	for range 3 {
		fail(t, q, "bad")
	}
	wants(t, q, "good")
	if s := q.Stats(); s.DeadLetters != 1 || s.Items != 0 {
		t.Fatalf("got %d dead letters and %d items, want 1 and 0", s.DeadLetters, s.Items)
	}
}

func TestAnItemThatWasDeliveredTooOftenGoesToAnotherQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {MaxDeliveries: 2, DeadLetter: "dead"}}
		r := ruled(t, disktest.New(), settings)
		q, dead := named(t, r, "work"), named(t, r, "dead")
		lives(t, q, time.Hour, "bad")
		put(t, q, "good")
		fail(t, q, "bad")
		fail(t, q, "bad")
		wants(t, q, "good")
		synctest.Wait()
		it := fetch(t, dead)
		if text(t, dead, it) != "bad" || it.Expires != 0 {
			t.Fatalf("got %+v, want the item without its end", it)
		}
		from, err := dead.Origin(it)
		if err != nil || from.Log != "work" || from.Seq != 1 || from.Why != wal.Undeliverable ||
			from.Deliveries != 2 || from.Enqueued == 0 || from.Expires == 0 {
			t.Fatalf("got origin %+v, %v, want item 1 of work", from, err)
		}
		if s := q.Stats(); s.DeadLetters != 1 || s.Items != 0 {
			t.Fatalf("got %+v, want 1 dead letter and no item", s)
		}
	})
}

func TestDeliveriesCountAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{"work": {MaxDeliveries: 3, DeadLetter: "dead"}}
		r := ruled(t, disktest.New(), settings)
		put(t, named(t, r, "work"), "bad", "good")
		for range 3 {
			fail(t, named(t, r, "work"), "bad")
			r = reopen(t, r)
		}
		wants(t, named(t, r, "work"), "good")
		synctest.Wait()
		wants(t, named(t, r, "dead"), "bad")
	})
}

func TestDeadLettersWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{
			"work": {MaxDeliveries: 1, DeadLetter: "dead"}, "dead": {MaxItems: 1},
		}
		r := ruled(t, disktest.New(), settings)
		q, dead := named(t, r, "work"), named(t, r, "dead")
		put(t, q, "a", "b", "c", "good")
		for _, s := range []string{"a", "b", "c"} {
			fail(t, q, s)
		}
		synctest.Wait()
		if s := q.Stats(); s.Items != 1 || s.DeadLetters != 1 {
			t.Fatalf("got %d items and %d dead letters, want 1 and 1", s.Items, s.DeadLetters)
		}
		wants(t, q, "good")
		wants(t, dead, "a")
		pass(buryAgain)
		wants(t, dead, "b")
		r = reopen(t, r)
		q, dead = named(t, r, "work"), named(t, r, "dead")
		wants(t, q) // whoever looks has it move on
		synctest.Wait()
		wants(t, dead, "c")
	})
}

func TestAFlushTakesDeadLettersThatHaveNotMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{
			"work": {MaxDeliveries: 1, DeadLetter: "dead"}, "dead": {MaxItems: 1},
		}
		r := ruled(t, disktest.New(), settings)
		q, dead := named(t, r, "work"), named(t, r, "dead")
		put(t, q, "a", "b")
		fail(t, q, "a")
		fail(t, q, "b")
		synctest.Wait()
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
		wants(t, dead, "a")
		pass(2 * buryAgain)
		wants(t, dead)
		if s := q.Stats(); s.Items != 0 {
			t.Fatalf("got %d items, want none", s.Items)
		}
	})
}

func TestTheEndOfTheServerIsNoDelivery(t *testing.T) {
	q := limited(t, Settings{MaxDeliveries: 2})
	put(t, q, "a")
	fail(t, q, "a")
	it := fetch(t, q)
	r := q.store.reg
	r.End()
	q.Return(it)
	q = named(t, reopen(t, r), "work")
	if it := fetch(t, q); it.deliveries != 1 {
		t.Fatalf("got %d deliveries, want 1", it.deliveries)
	}
}

func TestDeadLettersWaitAgainWhereNoQueueTakesThemAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{
			"work": {MaxDeliveries: 1, DeadLetter: "dead"}, "dead": {MaxItems: 1},
		}
		r := ruled(t, disktest.New(), settings)
		q := named(t, r, "work")
		const items = 2*moveItems + 10
		for i := range items {
			put(t, q, fmt.Sprint(i))
		}
		for i := range items {
			fail(t, q, fmt.Sprint(i))
		}
		synctest.Wait()
		w, _ := waitIn(t, q)
		r.Reconfigure(func(string) *Settings { return noSettings })
		pass(2 * buryAgain)
		wantClaim(t, w, q, "1")
		if s := q.Stats(); s.Items != items-2 || s.Open != 1 {
			t.Fatalf("got %d items and %d open, want %d and 1", s.Items, s.Open, items-2)
		}
	})
}

func TestAQueueIsNotParkedWhileItsDeadLettersWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := map[string]*Settings{
			"work": {MaxDeliveries: 1, DeadLetter: "dead"}, "dead": {MaxItems: 1},
		}
		r := ruled(t, disktest.New(), settings)
		q, dead := named(t, r, "work"), named(t, r, "dead")
		put(t, q, "a", "b")
		fail(t, q, "a")
		fail(t, q, "b")
		pass(10 * time.Minute) // nobody uses the queue
		wants(t, dead, "a")
		pass(2 * buryAgain)
		wants(t, dead, "b")
	})
}
