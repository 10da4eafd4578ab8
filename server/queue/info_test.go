package queue

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// info is what is known of the head, of which there is one.
func info(t testing.TB, q *Queue) Info {
	t.Helper()
	got, ok, err := q.Info()
	if err != nil || !ok {
		t.Fatalf("got %v, %v, want an item", ok, err)
	}
	return got
}

func TestAnEmptyQueueHasNoHeadToTellOf(t *testing.T) {
	q := newQueue(t)
	if got, ok, err := q.Info(); ok || err != nil || q.Exists() {
		t.Fatalf("got %+v, %v, %v, want nothing, and no queue", got, ok, err)
	}
	put(t, q, "a")
	it := fetch(t, q)
	if got, ok, err := q.Info(); ok || err != nil {
		t.Fatalf("got %+v, %v, %v of an item that is open, want nothing", got, ok, err)
	}
	if err := q.Return(it); err != nil {
		t.Fatal(err)
	}
	if got := info(t, q); got.Seq != 1 {
		t.Fatalf("got %+v, want item 1", got)
	}
	wants(t, q, "a")
}

func TestTheHeadOfAParkedQueueIsToldOf(t *testing.T) {
	q := newQueue(t)
	put(t, q, "abc")
	park(t, q)
	if got := info(t, q); got.Size != 3 || got.Enqueued != today {
		t.Fatalf("got %+v, want an item of 3 bytes", got)
	}
	wants(t, q, "abc")
}

func TestAHeadKnowsWhenItIsDueAndWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ruled(t, disktest.New(), map[string]*Settings{"work": {MaxAge: time.Hour}})
		q := named(t, r, "work")
		now := r.eras.now()
		m := wal.Meta{Enqueued: now, Expires: now + 60_000, More: &wal.More{Due: now + 1000}}
		if err := q.Put([]byte("a"), m); err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := q.Info(); ok {
			t.Fatal("got an item before it is due, want none")
		}
		pass(2 * time.Second)
		got := info(t, q)
		if got.Due != m.Due() || got.Expires != m.Expires || got.Enqueued != now {
			t.Fatalf("got %+v, want the times of %+v", got, m)
		}
		wants(t, q, "a")
		put(t, q, "b")
		if got := info(t, q); got.Due != 0 || got.Expires != got.Enqueued+time.Hour.Milliseconds() {
			t.Fatalf("got %+v, want no delay, and the end that the queue gives it", got)
		}
	})
}

func TestDeliveriesAreToldAlsoWhereNothingDependsOnThem(t *testing.T) {
	settings := map[string]*Settings{"work": {MaxDeliveries: 9}}
	synctest.Test(t, func(t *testing.T) {
		r := ruled(t, disktest.New(), settings)
		q := named(t, r, "work")
		put(t, q, "a", "b")
		fail(t, q, "a")
		fail(t, q, "a")
		r = reopen(t, r)
		delete(settings, "work") // what was noted stays noted
		r.Reconfigure(r.o.Settings)
		q = named(t, r, "work")
		if got := info(t, q); got.Deliveries != 2 {
			t.Fatalf("got %d deliveries, want the 2 before the restart", got.Deliveries)
		}
		wants(t, q, "a", "b")
		put(t, q, "c")
		fail(t, q, "c")
		if got := info(t, q); got.Deliveries != 1 {
			t.Fatalf("got %d deliveries, want 1", got.Deliveries)
		}
	})
}

func TestAnItemThatWasMovedSaysWhereItComesFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ruled(t, disktest.New(), map[string]*Settings{
			"work": {MaxDeliveries: 2, DeadLetter: "dead"},
		})
		q, dead := named(t, r, "work"), named(t, r, "dead")
		large := bytes.Repeat([]byte("large "), wal.MinSegmentSize)
		w, err := q.BeginLarge(int64(len(large)), wal.Meta{Flags: 7})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(large)
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := q.Return(fetch(t, q)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for range 2 {
			got := info(t, dead)
			if got.Origin == nil || got.Origin.Log != "work" || got.Origin.Seq != 1 ||
				got.Origin.Why != wal.Undeliverable || got.Origin.Deliveries != 2 ||
				got.Deliveries != 0 || got.Flags != 7 || got.Size != int64(len(large)) {
				t.Fatalf("got %+v from %+v, want item 1 of work", got, got.Origin)
			}
			r = reopen(t, r)
			dead = named(t, r, "dead")
		}
	})
}

func TestAnOriginThatNoQueueCanHaveIsNotTold(t *testing.T) {
	q := newQueue(t)
	m := wal.Meta{More: &wal.More{
		Origin: &wal.Origin{Log: "a 1\r\nEND", Seq: 5, Why: wal.Expired},
	}}
	if err := q.Put([]byte("a"), m); err != nil {
		t.Fatal(err)
	}
	if got := info(t, q); got.Origin == nil || *got.Origin != (Origin{}) {
		t.Fatalf("got origin %+v, want an unknown one", got.Origin)
	}
}
