package queue

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/wal"
)

// ofTwo is a queue of at most two items. Expired ones go to "old", which has room for some, and
// those that were delivered once to "dead", which has none.
func ofTwo(t *testing.T, discard bool, age time.Duration, room int64) (q, old *Queue) {
	t.Helper()
	o := small()
	settings := map[string]*Settings{
		"work": {
			MaxItems: 2, Discard: discard, MaxAge: age, ExpireTo: "old",
			MaxDeliveries: 1, DeadLetter: "dead",
		},
		"old":  {MaxItems: room},
		"dead": {MaxItems: 1},
	}
	o.Settings = func(name string) *Settings { return settings[name] }
	r := open(t, t.TempDir(), o)
	r.sweeper.stop() // what moves is moved for new items
	put(t, named(t, r, "dead"), "full")
	return named(t, r, "work"), named(t, r, "old")
}

// stored puts items that are as old as the clock says, whatever that takes.
func stored(q *Queue, payloads ...string) error {
	for _, p := range payloads {
		if err := storePatiently(q, []byte(p), wal.Meta{}); err != nil {
			return fmt.Errorf("item %s: %w", p, err)
		}
	}
	return nil
}

func TestExpiredItemsMoveAtOnceForNewOnes(t *testing.T) {
	for _, discard := range []bool{false, true} {
		q, old := ofTwo(t, discard, time.Second, 100)
		noError(t, stored(q, "a", "b"))
		later(q.store.reg)
		noError(t, stored(q, "c", "d"))
		wants(t, old, "a", "b")
		wants(t, q, "c", "d")
		if s := q.Stats(); s.Expired != 2 || s.DiscardedFull != 0 {
			t.Errorf("got %d expired and %d discarded, want 2 and 0", s.Expired, s.DiscardedFull)
		}
	}
}

func TestExpiredItemsThatNoQueueTakesHoldTheirPlacesUnlessOldestOnesGo(t *testing.T) {
	q, old := ofTwo(t, false, time.Second, 1)
	put(t, old, "full")
	noError(t, stored(q, "a", "b"))
	later(q.store.reg)
	err := stored(q, "c")
	if !errors.Is(err, ErrFull) || errors.Is(err, ErrDiscardOldest) ||
		!strings.Contains(err.Error(), "2 of the items wait for another queue") {
		t.Errorf("got %v, want a final refusal that names the two", err)
	}
	if s := q.Stats(); s.Items != 0 || s.Moving != 2 {
		t.Errorf("got %d items and %d that move, want 0 and 2", s.Items, s.Moving)
	}

	for age, m := range map[time.Duration]Meta{time.Second: {}, 0: {Expires: today + 1000}} {
		q, old = ofTwo(t, true, age, 1)
		put(t, old, "full")
		noError(t, storePatiently(q, []byte("a"), m))
		noError(t, storePatiently(q, []byte("b"), m))
		later(q.store.reg)
		noError(t, stored(q, "c"))
		if s := q.Stats(); s.Items != 1 || s.Moving != 1 || s.DiscardedFull != 1 {
			t.Errorf("got %d items, %d that move and %d discarded, want 1 each",
				s.Items, s.Moving, s.DiscardedFull)
		}
		if n, err := q.FlushExpired(); n != 0 || err != nil { // it was tried just now
			t.Errorf("got %d, %v, want none", n, err)
		}
		q.store.mu.Lock()
		if !q.isStuckLocked() {
			t.Error("got it tried again at once, want it left for a while")
		}
		q.store.mu.Unlock()
		noError(t, stored(q, "d", "e"))
		wants(t, q, "d", "e")
	}
}

func TestDeadLettersThatNoQueueTakesGoForNewItemsWhereOldestOnesGo(t *testing.T) {
	q, _ := ofTwo(t, true, time.Second, 100)
	noError(t, stored(q, "a", "b"))
	for range 2 {
		noError(t, q.Return(fetch(t, q)))
	}
	stepOf(q)(time.Millisecond)
	eventually(t, "the refusal of the other queue", func() bool {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		return q.deadStay && len(q.dead) == 2
	})
	noError(t, stored(q, "c", "d"))
	wants(t, q, "c", "d")
	if s := q.Stats(); s.DiscardedFull != 2 || s.Moving != 0 {
		t.Errorf("got %d discarded and %d that move, want 2 and 0", s.DiscardedFull, s.Moving)
	}
}

func TestASweepOfFewItemsLeavesTheOthersForTheNext(t *testing.T) {
	o := small()
	eachQueue(Settings{MaxAge: time.Second, MaxExpireSweep: 2})(&o)
	r := open(t, t.TempDir(), o)
	r.sweeper.stop()
	q := named(t, r, "work")
	noError(t, stored(q, strings.Split("abcdefghij", "")...))
	later(r)
	for round := 1; round <= 3; round++ {
		q.store.dropExpired(t.Context(), r.sweeper)
		q.store.mu.Lock()
		expired, due := q.lossesLocked().expired, q.due
		q.store.mu.Unlock()
		if expired != uint64(2*round) || due != dueNow {
			t.Errorf("round %d: got %d expired, due %d; want %d, now", round, expired, due, 2*round)
		}
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
