package queue

import (
	"context"
	"testing"
	"time"

	"github.com/darner/darner/wal/clock/clocktest"
)

// later sets the clock by less than counts as a step: what is due then has expired, and no timer
// rings for it.
func later(r *Registry) { r.clock.(*clocktest.Clock).SetDay(time.UnixMilli(today + 1500)) }

func TestExpiredItemsThatAreFlushedAreCounted(t *testing.T) {
	q := newQueue(t)
	const n = 1000
	putExpiring(t, q, n, today+1000)
	put(t, q, "stays")
	putExpiring(t, q, n, today+1000)
	if n, err := q.FlushExpired(); n != 0 || err != nil {
		t.Errorf("got %d before any expired, %v, want none", n, err)
	}
	later(q.store.reg)
	if got, err := q.FlushExpired(); got != 2*n || err != nil {
		t.Errorf("got %d, %v, want %d", got, err, 2*n)
	}
	if n, err := q.FlushExpired(); n != 0 || err != nil {
		t.Errorf("got %d the second time, %v, want none", n, err)
	}
	if s := q.Stats(); s.Items != 1 || s.Expired != 2*n {
		t.Errorf("got %+v, want 1 item and %d expired", s, 2*n)
	}
	wants(t, q, "stays")
}

func TestExpiredItemsOfAllQueuesAreFlushed(t *testing.T) {
	r := open(t, t.TempDir(), small())
	a, b, fresh := named(t, r, "a"), named(t, r, "b"), named(t, r, "fresh")
	putExpiring(t, a, 100, today+1000)
	putExpiring(t, b, 200, today+1000)
	putExpiring(t, fresh, 1, today+3_600_000)
	park(t, b)
	park(t, fresh)
	later(r)
	if n, err := r.FlushAllExpired(context.Background()); n != 300 || err != nil {
		t.Errorf("got %d, %v, want 300", n, err)
	}
	if loaded(fresh) {
		t.Error("got a queue loaded in which nothing has expired, want it parked")
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if n, err := r.FlushAllExpired(ended); n != 0 || err == nil {
		t.Errorf("got %d, %v after the end, want an error", n, err)
	}
}

func TestExpiredItemsOfAQueueThatIsNotThereAreNone(t *testing.T) {
	r := open(t, t.TempDir(), small())
	q := named(t, r, "nobody")
	if n, err := q.FlushExpired(); n != 0 || err != nil || r.Has("nobody") {
		t.Errorf("got %d, %v, and a queue: %v; want nothing", n, err, r.Has("nobody"))
	}
}
