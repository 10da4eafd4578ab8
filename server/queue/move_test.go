package queue

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
)

// inTheMiddle does something while an expired item is on its way from one queue to another.
func inTheMiddle(t *testing.T, do func(q *Queue)) (q, old *Queue) {
	t.Helper()
	settings := map[string]*Settings{"work": {MaxAge: time.Second, ExpireTo: "old"}}
	o := small()
	o.Settings = func(name string) *Settings {
		if s := settings[name]; s != nil {
			return s
		}
		return noSettings
	}
	r := open(t, t.TempDir(), o)
	r.sweeper.stop() // what moves is the test's
	q, old = named(t, r, "work"), named(t, r, "old")
	put(t, old, "first")
	take(t, old)
	if err := q.Put([]byte("moves"), wal.Meta{Enqueued: today}); err != nil {
		t.Fatal(err)
	}
	stepOf(q)(time.Second)
	old.store.mu.Lock() // nobody can put anything there
	done := make(chan bool)
	go func() {
		q.FlushExpired()
		close(done)
	}()
	eventually(t, "a move", func() bool {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		return q.moving != nil
	})
	func() {
		defer old.store.mu.Unlock()
		do(q)
	}()
	<-done
	return q, old
}

func TestItemsKeepTheirOrderWhenManyAskForThemToMove(t *testing.T) {
	const n = 20 * moveItems
	o := small()
	o.Settings = func(name string) *Settings {
		if name == "work" {
			return &Settings{MaxAge: time.Second, ExpireTo: "old"}
		}
		return noSettings
	}
	r := open(t, t.TempDir(), o)
	q, old := named(t, r, "work"), named(t, r, "old")
	for i := range n {
		if err := storePatiently(q, fmt.Append(nil, i), Meta{Enqueued: today}); err != nil {
			t.Fatal(err)
		}
	}
	later(r)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := q.FlushExpired(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range n {
		if got := take(t, old); got != fmt.Sprint(i) {
			t.Fatalf("got item %s, want %d", got, i)
		}
	}
}

func TestWhatIsBeingMovedIsDeliveredToNobody(t *testing.T) {
	q, old := inTheMiddle(t, func(q *Queue) {
		q.store.set.Store(noSettings) // it would not have expired
		wants(t, q)
	})
	wants(t, old, "moves")
	wants(t, q)
}

func TestWhatIsBeingMovedExpiresNowhereElse(t *testing.T) {
	var dropped sync.WaitGroup
	q, old := inTheMiddle(t, func(q *Queue) {
		q.store.set.Store(&Settings{MaxAge: time.Second}) // expired items are dropped
		wants(t, q)
		dropped.Go(func() { // after the move
			if n, err := q.FlushExpired(); n != 0 || err != nil {
				t.Errorf("got %d dropped, %v, want none", n, err)
			}
		})
	})
	dropped.Wait()
	wants(t, old, "moves")
	if s := q.Stats(); s.Expired != 1 {
		t.Errorf("got %d expired, want 1", s.Expired)
	}
}

func TestTheSweeperDoesNotWaitForAMoveThatAClientAskedFor(t *testing.T) {
	inTheMiddle(t, func(q *Queue) {
		sweeper := q.store.reg.sweeper
		sweeper.began = clock.Steady(sweeper.r.clock)
		swept := make(chan bool)
		go func() {
			q.store.dropExpired(t.Context(), sweeper)
			close(swept)
		}()
		eventually(t, "the end of the sweep", func() bool {
			select {
			case <-swept:
				return true
			default:
				return false
			}
		})
	})
}

func TestAFlushForgetsWhatIsBeingMoved(t *testing.T) {
	q, _ := inTheMiddle(t, func(q *Queue) {
		if err := q.Flush(); err != nil {
			t.Error(err)
		}
		q.store.set.Store(noSettings)
		put(t, q, "a")
		if s := q.Stats(); s.Items != 1 {
			t.Errorf("got %d items, want 1", s.Items)
		}
	})
	wants(t, q, "a")
}
