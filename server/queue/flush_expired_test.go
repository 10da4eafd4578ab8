package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestExpiredItemsThatAreFlushedAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := named(t, open(t, "data", sweeping(disktest.New())), "work")
		putExpiring(t, q, expiring, in(time.Second))
		put(t, q, "stays")
		if n, err := q.FlushExpired(); n != 0 || err != nil {
			t.Errorf("got %d before any expired, %v, want none", n, err)
		}
		time.Sleep(time.Second) // the sweeper comes later
		if n, err := q.FlushExpired(); n != expiring || err != nil {
			t.Errorf("got %d, %v, want %d", n, err, expiring)
		}
		if n, err := q.FlushExpired(); n != 0 || err != nil {
			t.Errorf("got %d the second time, %v, want none", n, err)
		}
		if s := q.Stats(); s.Items != 1 || s.Expired != expiring {
			t.Errorf("got %+v, want 1 item and %d expired", s, expiring)
		}
		wants(t, q, "stays")
	})
}

func TestExpiredItemsOfAllQueuesAreFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, "data", sweeping(disktest.New()))
		a, b, later := named(t, r, "a"), named(t, r, "b"), named(t, r, "later")
		putExpiring(t, a, 100, in(time.Second))
		putExpiring(t, b, 200, in(time.Second))
		putExpiring(t, later, 1, in(time.Hour))
		park(t, b)
		park(t, later)
		time.Sleep(time.Second)
		if n, err := r.FlushAllExpired(context.Background()); n != 300 || err != nil {
			t.Errorf("got %d, %v, want 300", n, err)
		}
		if loaded(later) {
			t.Error("got a queue loaded in which nothing has expired, want it parked")
		}
		ended, end := context.WithCancel(context.Background())
		end()
		if n, err := r.FlushAllExpired(ended); n != 0 || err == nil {
			t.Errorf("got %d, %v after the end, want an error", n, err)
		}
	})
}

func TestExpiredItemsOfAQueueThatIsNotThereAreNone(t *testing.T) {
	r := open(t, t.TempDir(), small())
	q := named(t, r, "nobody")
	if n, err := q.FlushExpired(); n != 0 || err != nil || r.Has("nobody") {
		t.Errorf("got %d, %v, and a queue: %v; want nothing", n, err, r.Has("nobody"))
	}
}
