package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
	"github.com/darner/darner/wal/datadir"
)

// stepOf is the clock of small, to be stepped.
func stepOf(q *Queue) func(time.Duration) { return q.store.reg.clock.(*clocktest.Clock).Step }

// putDue puts an item that is due after some time.
func putDue(t testing.TB, q *Queue, payload string, after time.Duration, lifetime time.Duration) {
	t.Helper()
	now := q.store.reg.eras.now()
	m := wal.Meta{Enqueued: now, More: &wal.More{Due: now + after.Milliseconds()}}
	if lifetime != 0 {
		m.Expires = now + lifetime.Milliseconds()
	}
	if err := q.Put([]byte(payload), m); err != nil {
		t.Fatal(err)
	}
}

// counts compares the figures of what waits and what is delayed.
func hasDelayed(t testing.TB, q *Queue, items, delayed int64) {
	t.Helper()
	if s := q.Stats(); s.Items != items || s.Delayed != delayed {
		t.Fatalf("got %d items and %d delayed, want %d and %d", s.Items, s.Delayed, items, delayed)
	}
}

func TestADelayedItemIsSeenWhenItIsDueInItsOldPlace(t *testing.T) {
	q := newQueue(t)
	step := stepOf(q)
	put(t, q, "a")
	putDue(t, q, "b", 10*time.Second, 0)
	put(t, q, "c")
	putDue(t, q, "d", 5*time.Second, 0)
	put(t, q, "e", "f")
	hasDelayed(t, q, 4, 2)
	if got := take(t, q) + take(t, q); got != "ac" {
		t.Fatalf("got %s, want ac", got)
	}
	step(5 * time.Second)
	hasDelayed(t, q, 3, 1)
	if got := take(t, q) + take(t, q); got != "de" {
		t.Fatalf("got %s, want de", got)
	}
	step(5*time.Second - time.Millisecond)
	hasDelayed(t, q, 1, 1)
	step(time.Millisecond)
	hasDelayed(t, q, 2, 0)
	wants(t, q, "b", "f")
	if q.agenda != nil {
		t.Error("got an agenda with nothing on it, want none")
	}
}

func TestAnItemThatIsDueBeforeItsTurnWaitsForIt(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	putDue(t, q, "b", time.Second, 0)
	put(t, q, "c")
	stepOf(q)(time.Second)
	hasDelayed(t, q, 3, 0)
	wants(t, q, "a", "b", "c")
}

func TestAWaiterGetsADelayedItemWhenItIsDue(t *testing.T) {
	q := newQueue(t)
	put(t, q, "x")
	wants(t, q, "x")
	w, woken := waitIn(t, q)
	putDue(t, q, "a", time.Minute, 0)
	stepOf(q)(time.Minute - time.Millisecond)
	if w.Done() {
		t.Fatal("got a claim before the item is due")
	}
	stepOf(q)(time.Millisecond)
	<-woken
	_, it, ok := w.Stop()
	if !ok || text(t, q, it) != "a" {
		t.Fatalf("got %v, want the item", ok)
	}
}

func TestDelaysSurviveARestart(t *testing.T) {
	q := newQueue(t)
	step := stepOf(q)
	for i := range 500 {
		putDue(t, q, fmt.Sprint(i), time.Duration(i%10)*time.Second, 0)
	}
	for range 30 { // those that are due at once
		take(t, q)
	}
	q = named(t, reopen(t, q.store.reg), "work")
	if err := q.Load(); err != nil {
		t.Fatal(err)
	}
	hasDelayed(t, q, 20, 450)
	step(5 * time.Second)
	hasDelayed(t, q, 270, 200)
	q = named(t, reopen(t, q.store.reg), "work")
	if got := take(t, q); got != "1" {
		t.Fatalf("got %s, want 1, the oldest that is due", got)
	}
	hasDelayed(t, q, 269, 200)
	step(5 * time.Second)
	hasDelayed(t, q, 469, 0)
	last := -1
	for s := take(t, q); s != ""; s = take(t, q) {
		var n int
		fmt.Sscan(s, &n)
		if n <= last {
			t.Fatalf("got %d after %d, want the order of putting", n, last)
		}
		last = n
	}
}

func TestAQueueThatDelaysNothingIsOpenedWithoutReadingItsSegments(t *testing.T) {
	q := newQueue(t)
	for range 200 {
		put(t, q, string(make([]byte, 8000)))
	}
	q = named(t, reopen(t, q.store.reg), "work")
	opened := 0
	l := q.store
	if err := q.Load(); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	err := l.own.cursor.EachDue(0, func(Position, Meta) { opened++ })
	l.mu.Unlock()
	if err != nil || opened != 0 {
		t.Fatalf("got %d items, %v, want none", opened, err)
	}
}

func TestAQueueMayDelayAllItsItems(t *testing.T) {
	q := limited(t, Settings{Delay: time.Second})
	put(t, q, "a")
	now := q.store.reg.eras.now()
	// With a delay of its own, also of none, the queue's does not count.
	if err := q.Put([]byte("b"), wal.Meta{Enqueued: now, More: &wal.More{Due: now}}); err != nil {
		t.Fatal(err)
	}
	putDue(t, q, "c", time.Hour, 0)
	hasDelayed(t, q, 1, 2)
	stepOf(q)(time.Second)
	wants(t, q, "a", "b")
}

func TestDelayedItemsCountForTheBoundsAndHaveOneOfTheirOwn(t *testing.T) {
	q := limited(t, Settings{MaxItems: 3, MaxDelayed: 2})
	putDue(t, q, "a", time.Second, 0)
	putDue(t, q, "b", time.Second, 0)
	now := q.store.reg.eras.now()
	err := q.Put([]byte("c"), wal.Meta{Enqueued: now, More: &wal.More{Due: now + 1}})
	if !errors.Is(err, ErrLimit) || errors.Is(err, ErrDiscardOldest) {
		t.Fatalf("got %v, want ErrLimit", err)
	}
	put(t, q, "c")
	refuses(t, q, "d", "max-items")
	stepOf(q)(time.Second)
	take(t, q)
	putDue(t, q, "d", time.Second, 0)
	wants(t, q, "b", "c")
}

func TestAFlushTakesWhatIsDelayed(t *testing.T) {
	q := newQueue(t)
	putDue(t, q, "a", time.Second, 0)
	put(t, q, "b")
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	hasDelayed(t, q, 0, 0)
	stepOf(q)(time.Second)
	wants(t, q)
}

func TestADelayedItemExpiresUnseen(t *testing.T) {
	q := newQueue(t)
	putDue(t, q, "a", time.Minute, time.Second)
	putDue(t, q, "b", time.Second, time.Minute)
	stepOf(q)(time.Second)
	if _, err := q.FlushExpired(); err != nil { // the sweeper does it too
		t.Fatal(err)
	}
	hasDelayed(t, q, 1, 0)
	wants(t, q, "b")
	if s := q.Stats(); s.Expired != 1 {
		t.Fatalf("got %d expired, want 1", s.Expired)
	}
}

func TestADelayGoesOnWhenTheClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, time.Hour, 50 * 365 * 24 * time.Hour} {
		q := newQueue(t)
		c := q.store.reg.clock.(*clocktest.Clock)
		putDue(t, q, "a", time.Minute, 0)
		day, _ := c.Now()
		c.SetDay(day.Add(by))
		putDue(t, q, "b", time.Minute, 0)
		c.Step(30 * time.Second)
		hasDelayed(t, q, 0, 2)
		if by > 0 { // the history of the clock knows of times when it was behind
			history := filepath.Join(q.store.reg.dir, datadir.ClockName)
			eventually(t, "the history of the clock", func() bool {
				_, err := os.Stat(history)
				return err == nil
			})
			q = named(t, reopen(t, q.store.reg), "work")
			if err := q.Load(); err != nil {
				t.Fatal(err)
			}
			hasDelayed(t, q, 0, 2)
		}
		c.Step(30 * time.Second)
		wants(t, q, "a", "b")
	}
}

func TestAParkedQueueKeepsItsDelays(t *testing.T) {
	q := newQueue(t)
	putDue(t, q, "a", time.Minute, 0)
	put(t, q, "b")
	if !q.store.park(1 << 60) {
		t.Fatal("got a queue that is not parked")
	}
	hasDelayed(t, q, 1, 1)
	wants(t, q, "b")
	stepOf(q)(time.Minute)
	wants(t, q, "a")
}

func TestAnItemThatIsOpenForTooLongGoesBack(t *testing.T) {
	q := limited(t, Settings{OpenTimeout: time.Minute})
	put(t, q, "a", "b")
	slow := fetch(t, q)
	q.Hold(&slow)
	stepOf(q)(30 * time.Second)
	quick := fetch(t, q)
	q.Hold(&quick)
	stepOf(q)(30 * time.Second)
	if s := q.Stats(); s.Items != 1 || s.Open != 1 || s.TimedOut != 1 || s.Canceled != 1 {
		t.Fatalf("got %+v, want one item back", s)
	}
	if !q.HasEnded(slow) || q.HasEnded(quick) {
		t.Error("got ends of the wrong reads")
	}
	if err := q.Confirm(slow); err != ErrNotOpen {
		t.Errorf("got %v, want ErrNotOpen", err)
	}
	again := fetch(t, q)
	if text(t, q, again) != "a" {
		t.Fatal("got another item, want the oldest")
	}
	q.Hold(&again)
	if err := q.Confirm(again); err != nil {
		t.Fatal(err)
	}
	if err := q.Confirm(quick); err != nil {
		t.Fatal(err)
	}
	stepOf(q)(time.Hour)
	if s := q.Stats(); s.Items != 0 || s.Open != 0 || s.TimedOut != 1 {
		t.Fatalf("got %+v, want nothing left", s)
	}
}

func TestAReturnedItemWaitsBeforeItIsDeliveredAgainAndOthersGoMeanwhile(t *testing.T) {
	q := limited(t, Settings{RetryDelay: time.Second, RetryDelayMax: 5 * time.Second})
	put(t, q, "a", "b")
	for _, wait := range []time.Duration{1, 2, 4, 5, 5} {
		it := fetch(t, q)
		if text(t, q, it) != "a" {
			t.Fatal("got another item than a")
		}
		q.Return(it)
		hasDelayed(t, q, 1, 1)
		stepOf(q)(wait*time.Second - time.Millisecond)
		hasDelayed(t, q, 1, 1)
		stepOf(q)(time.Millisecond)
		hasDelayed(t, q, 2, 0)
	}
	q.Return(fetch(t, q))
	wants(t, q, "b")
	q = named(t, reopen(t, q.store.reg), "work")
	it := fetch(t, q) // delays of returned items end with the process, what is noted does not
	if it.deliveries != 6 {
		t.Fatalf("got %d deliveries, want 6", it.deliveries)
	}
}

func TestAMillionDelayedItemsTakeLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	var h appointments
	measure := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := measure()
	for i := range 1_000_000 {
		h.push(appointment{at: rand.Int64(), seq: uint64(i)})
	}
	if got := measure() - before; got > 32<<20 {
		t.Errorf("got %d bytes, want at most 32 MiB", got)
	}
	if got := h.memory(); got < 24_000_000 || got > 32<<20 {
		t.Errorf("got %d bytes as it counts itself, want about 24 MB", got)
	}
	last := int64(-1)
	for range 1_000_000 {
		x := h.pop()
		if x.at < last {
			t.Fatalf("got %d after %d, want them in order", x.at, last)
		}
		last = x.at
	}
	if got := int64(measure()) - int64(before); got > 1<<20 {
		t.Errorf("got %d bytes of an empty heap, want almost none", got)
	}
}

func TestAHeapPopsInOrder(t *testing.T) {
	var h appointments
	var want []int64
	for range 20_000 {
		if rand.IntN(3) > 0 || h.n == 0 {
			x := rand.Int64N(1000)
			h.push(appointment{at: x})
			want = append(want, x)
			continue
		}
		least := slices.Index(want, slices.Min(want))
		if got := h.pop().at; got != want[least] {
			t.Fatalf("got %d, want %d", got, want[least])
		}
		want = slices.Delete(want, least, least+1)
	}
}

func TestADelayedItemThatAShorterAgeEndsIsDelayedNoMore(t *testing.T) {
	for _, head := range []string{"", "head"} {
		q := limited(t, Settings{MaxAge: time.Hour, Delay: time.Minute})
		q.store.reg.Reconfigure(func(string) *Settings { return &Settings{MaxAge: time.Hour} })
		if head != "" {
			put(t, q, head) // the cursor stays before what is delayed
			take(t, q)
		}
		now := q.store.reg.eras.now()
		putDue(t, q, "a", time.Minute, 0)
		stepOf(q)(10 * time.Second)
		hasDelayed(t, q, 0, 1)
		if err := q.Put([]byte("b"), wal.Meta{Enqueued: now + 10_000}); err != nil {
			t.Fatal(err)
		}
		shorter := &Settings{MaxAge: 5 * time.Second}
		q.store.reg.Reconfigure(func(string) *Settings { return shorter })
		if _, err := q.FlushExpired(); err != nil { // if the sweeper was not here already
			t.Fatal(err)
		}
		hasDelayed(t, q, 1, 0)
		if s := q.Stats(); s.Expired != 1 {
			t.Fatalf("got %d expired, want 1", s.Expired)
		}
		wants(t, q, "b")
	}
}

func TestALongerAgeShowsNothingBeforeItIsDue(t *testing.T) {
	q := limited(t, Settings{MaxAge: time.Second})
	putDue(t, q, "a", 5*time.Second, 0)
	q.store.reg.Reconfigure(func(string) *Settings { return &Settings{MaxAge: time.Minute} })
	stepOf(q)(2 * time.Second)
	hasDelayed(t, q, 0, 1)
	wants(t, q)
	stepOf(q)(3 * time.Second)
	wants(t, q, "a")
}

func TestAQueueIsNotParkedWhileAnItemWaitsForItsNextDelivery(t *testing.T) {
	q := limited(t, Settings{RetryDelay: time.Minute})
	put(t, q, "a")
	q.Return(fetch(t, q))
	if q.store.park(1 << 60) {
		t.Fatal("got a parked queue, want the delay of its item kept")
	}
	stepOf(q)(time.Minute)
	park(t, q)
	wants(t, q, "a")
}

func TestAFewDelayedItemsTakeAlmostNoMemory(t *testing.T) {
	q := newQueue(t)
	putDue(t, q, "a", time.Minute, 0)
	putDue(t, q, "b", time.Minute, 0)
	if s := q.Stats(); s.DelayedMemory == 0 || s.DelayedMemory > 200 {
		t.Fatalf("got %d bytes for two delayed items, want some", s.DelayedMemory)
	}
}

func TestAMillionDelayedItemsOfAQueueTakeLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	q := newQueue(t)
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	measure := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := measure()
	for i := range uint64(1_000_000) {
		q.deferLocked(i+1, 1, int64(i))
	}
	counted := q.agenda.memory()
	if got := measure() - before; got > 48_000_000 || counted > 48_000_000 || counted < 24_000_000 {
		t.Errorf("got %d bytes, %d as it counts itself, want at most 48 MB", got, counted)
	}
	q.dropAgendaLocked()
}
