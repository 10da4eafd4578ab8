package queue

import (
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// small keeps the files of a test small, and its log quiet. Its clock stands still, so that neither
// the sweeper nor the janitor comes by.
func small() Options {
	o := timed()
	o.Clock, o.Log.Cold = clocktest.New(time.UnixMilli(today)), nil
	return o
}

// timed is small with the clock of the machine, or of a bubble. All tests share one zstd decoder,
// which would belong to the first bubble that used it: so it compresses with S2.
func timed() Options {
	return Options{
		CompactRate: -1,
		Log: wal.Options{
			SegmentSize: wal.MinSegmentSize, SyncEvery: wal.SyncNever,
			Cold: &wal.Cold{Codec: segment.CodecS2}, Logger: slog.New(slog.DiscardHandler),
		},
	}
}

func open(t testing.TB, dir string, o Options) *Registry {
	t.Helper()
	r, err := OpenRegistry(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// reopen is a restart of the server.
func reopen(t testing.TB, r *Registry) *Registry {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, r.dir, r.o.fresh())
}

// fresh is what r.o was before OpenRegistry completed it.
func (o Options) fresh() Options {
	o.Log.Background, o.Log.Quarantine, o.Episodes = nil, "", nil
	return o
}

func named(t testing.TB, r *Registry, name string) *Queue {
	t.Helper()
	q, err := r.Queue([]byte(name))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func newQueue(t testing.TB) *Queue { return named(t, open(t, t.TempDir(), small()), "work") }

func put(t testing.TB, q *Queue, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := q.Put([]byte(p), wal.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
}

func fetch(t testing.TB, q *Queue) Item {
	t.Helper()
	it, ok, err := q.Fetch()
	if err != nil || !ok {
		t.Fatalf("got %v, %v, want an item", ok, err)
	}
	return it
}

func text(t testing.TB, q *Queue, it Item) string {
	t.Helper()
	b, err := q.Read(it, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// take fetches and confirms; "" when nothing waits.
func take(t testing.TB, q *Queue) string {
	t.Helper()
	it, ok, err := q.Fetch()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return ""
	}
	s := text(t, q, it)
	if err := q.Confirm(it); err != nil {
		t.Fatal(err)
	}
	return s
}

// wants takes all that waits and compares.
func wants(t testing.TB, q *Queue, payloads ...string) {
	t.Helper()
	var got []string
	for s := take(t, q); s != ""; s = take(t, q) {
		got = append(got, s)
	}
	if fmt.Sprint(got) != fmt.Sprint(payloads) {
		t.Fatalf("got %v, want %v", got, payloads)
	}
}

// eventually waits for something that happens in the background.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("waited for " + what + " in vain")
		}
	}
}

// waitIn returns a waiter that waits in queues, and the channel that its wake fills.
func waitIn(t testing.TB, queues ...*Queue) (*Waiter, <-chan bool) {
	t.Helper()
	woken := make(chan bool, 100)
	w := NewWaiter(func() { woken <- true })
	for _, q := range queues {
		if claimed, err := q.Wait(w); claimed || err != nil {
			t.Fatalf("got a claim %v, %v, want none yet", claimed, err)
		}
	}
	return w, woken
}

// wantClaim stops a waiter that must have claimed an item of q.
func wantClaim(t testing.TB, w *Waiter, q *Queue, payload string) {
	t.Helper()
	from, it, ok := w.Stop()
	if !ok || from != q {
		t.Fatalf("got a claim %v, of %p, want one of %p", ok, from, q)
	}
	if got := text(t, q, it); got != payload {
		t.Fatalf("got item %q, want %q", got, payload)
	}
}

// park parks a queue that nobody uses.
func park(t testing.TB, q *Queue) {
	t.Helper()
	eventually(t, "parking", func() bool { return q.store.park(math.MaxUint64) })
}

// loaded reports whether the log of a queue is open.
func loaded(q *Queue) bool {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	return q.store.log != nil
}
