package queue

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// telling is a queue whose losses a test reads. It tells of them when its clock is stepped.
type telling struct {
	*Queue
	clock *clocktest.Clock
	log   bytes.Buffer
}

func newTelling(t *testing.T) *telling {
	l := new(telling)
	o := small()
	l.clock = o.Clock.(*clocktest.Clock)
	o.Log.Logger = slog.New(slog.NewTextHandler(&l.log, nil))
	l.Queue = named(t, open(t, t.TempDir(), o), "work")
	return l
}

// wants steps the clock and looks for one line with all of these parts.
func (l *telling) wants(t *testing.T, d time.Duration, parts ...string) {
	t.Helper()
	l.clock.Step(d)
	var found []string
	for line := range strings.Lines(l.log.String()) {
		if strings.Contains(line, parts[0]) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d lines with %q, want one, in\n%s", len(found), parts[0], &l.log)
	}
	for _, p := range parts {
		if !strings.Contains(found[0], p) {
			t.Errorf("got %q, want %q in it", found[0], p)
		}
	}
	l.log.Reset()
}

func TestExpiryIsToldOnceHoweverManyItems(t *testing.T) {
	q := newTelling(t)
	const n = 3*expirySlice + 1
	putExpired(t, q.Queue, n)
	fetchReady(t, q.Queue)
	q.wants(t, 0, "expired items are dropped", "INFO", "queue=work", fmt.Sprint("count=", n))
	q.wants(t, time.Minute, "expired items are no longer dropped", fmt.Sprint("total=", n))
}

func TestItemsThatMoveAreTold(t *testing.T) {
	q := newTelling(t)
	q.store.set.Store(&Settings{ExpireTo: "old"})
	putExpired(t, q.Queue, 3)
	if n, err := q.FlushExpired(); n != 3 || err != nil {
		t.Fatalf("got %d, %v, want 3", n, err)
	}
	q.wants(t, 0, "expired items are moved to another queue", "INFO", "queue=work", "count=3")
}

func TestDamageIsCountedAndTold(t *testing.T) {
	q := newTelling(t)
	put(t, q.Queue, "a", "b")
	q.Drop(fetch(t, q.Queue))
	q.Drop(fetch(t, q.Queue))
	q.wants(t, 0, "damage is found", "WARN", "queue=work", "count=2")
	if s := q.Stats(); s.Damaged != 2 {
		t.Errorf("got %d damaged, want 2", s.Damaged)
	}
}

func TestDamageThatTheLogFindsIsToldToo(t *testing.T) {
	q := newTelling(t)
	put(t, q.Queue, "a")
	q.store.logOptions().Lost(7)
	q.wants(t, 0, "damage is found", "queue=work", "count=7")
}

func TestDiscardedItemsAreTold(t *testing.T) {
	var l telling
	r := bounded(t, disktest.New(), func(o *Options) {
		o.Clock = clocktest.New(time.UnixMilli(today))
		l.clock = o.Clock.(*clocktest.Clock)
		o.Log.Logger = slog.New(slog.NewTextHandler(&l.log, nil))
		o.Settings = func(string) *Settings { return &Settings{MaxDisk: 1 << 20, Discard: true} }
	})
	l.Queue = named(t, r, "work")
	for i := range 200 {
		if err := putPatiently(l.Queue, i, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	s := l.Stats()
	if s.DiscardedFull == 0 || r.Sum(t.Context(), func(*Queue) {}).Discarded != s.DiscardedFull {
		t.Errorf("got %d discarded, want some, and as many in the sum", s.DiscardedFull)
	}
	l.wants(t, 0, "oldest items are discarded for new ones", "WARN", "queue=work",
		fmt.Sprint("count=", s.DiscardedFull), "max-disk of its table, or queue-max-disk")
}

func TestWhatHasExpiredIsNotDiscardedUnlessItShouldHaveMoved(t *testing.T) {
	for _, to := range []string{"", "old"} {
		r := bounded(t, disktest.New(), func(o *Options) {
			o.Clock = clocktest.New(time.UnixMilli(today))
			eachQueue(Settings{MaxDisk: 1 << 20, Discard: true, ExpireTo: to})(o)
		})
		r.sweeper.stop() // expired items leave for new ones alone
		q := named(t, r, "work")
		payload := make([]byte, 10_000)
		for i := range 120 {
			m := Meta{Enqueued: today}
			if i < 60 {
				m.Expires = today + 1000
			}
			if i == 60 {
				later(r)
			}
			if err := storePatiently(q, payload, m); err != nil {
				t.Fatal(err)
			}
		}
		s := q.Stats()
		if expired := s.Expired > 0; expired != (to == "") || expired == (s.DiscardedFull > 0) {
			t.Errorf("to %q: got %d discarded and %d expired", to, s.DiscardedFull, s.Expired)
		}
	}
}

func TestRefusalsAreCountedByReason(t *testing.T) {
	q := newTelling(t)
	put(t, q.Queue, "a")
	for err, want := range map[error]metrics.Refusal{
		fmt.Errorf("item: %w", ErrTooLarge):              metrics.TooLarge,
		&overBound{text: "at its limit", own: true}:      metrics.QueueFull,
		fmt.Errorf("%w: %w", wal.ErrFull, ErrLimit):      metrics.QueueFull,
		fmt.Errorf("append: %w", wal.ErrFull):            metrics.DiskFull,
		fmt.Errorf("open: %w", syscall.EMFILE):           metrics.Shortage,
		fmt.Errorf("%w: input/output error", ErrFailed):  metrics.Failed,
		errors.New("queue work cannot be loaded: a dog"): metrics.Failed,
	} {
		before := q.Stats().Refused[want]
		q.Refused(err)
		if got := q.Stats().Refused[want]; got != before+1 {
			t.Errorf("%v: got %d refused as %v, want %d", err, got, want, before+1)
		}
	}
	q.ResetStats()
	if got := q.Stats().Refused; got != [metrics.Refusals]uint64{} {
		t.Errorf("got %v after a reset, want none", got)
	}
	q.wants(t, 0, "reason=queue_full", "items are refused", "WARN", "queue=work", "count=2")
}

// A client may name any number of queues that there are not.
func TestARefusalByAQueueThatThereIsNotIsToldAndKeepsNothing(t *testing.T) {
	q := newTelling(t)
	q.Refused(ErrTooLarge)
	if q.lost != nil || q.Stats() != (Stats{}) {
		t.Errorf("got %+v, want nothing kept", q.Stats())
	}
	q.wants(t, 0, "items are refused", "reason=too_large", "queue=work", "count=1")
}

func TestLossesEndWithTheirQueue(t *testing.T) {
	q := newTelling(t)
	put(t, q.Queue, "a")
	q.Refused(ErrTooLarge)
	if err := q.Delete(); err != nil {
		t.Fatal(err)
	}
	put(t, q.Queue, "b")
	if s := q.Stats(); s.Refused[metrics.TooLarge] != 0 {
		t.Errorf("got %d refused by a new queue, want none", s.Refused[metrics.TooLarge])
	}
}

// Whoever makes rates of the sums would take a fall for a restart.
func TestSumsDoNotFallWhenAQueueIsDeleted(t *testing.T) {
	for _, parked := range []bool{false, true} {
		q := newTelling(t)
		put(t, q.Queue, "a", "b")
		putExpired(t, q.Queue, 3)
		wants(t, q.Queue, "a", "b")
		sum := func() Sum { return q.store.reg.Sum(t.Context(), func(*Queue) {}) }
		before := sum()
		if parked {
			park(t, q.Queue)
		}
		if err := q.Delete(); err != nil {
			t.Fatal(err)
		}
		if err := q.Delete(); err != nil { // there is none
			t.Fatal(err)
		}
		put(t, q.Queue, "c")
		after := sum()
		got := []uint64{before.TotalItems, after.TotalItems, before.Expired, after.Expired}
		if want := []uint64{5, 6, 3, 3}; !slices.Equal(got, want) {
			t.Errorf("parked %v: got %d items and %d expired, before and after, want %d", parked,
				got[:2], got[2:], want)
		}
	}
}
