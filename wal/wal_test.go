package wal_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/clock/clocktest"
)

// quiet keeps expected reports of damage out of the tests' output.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// open opens a log whose clock stands and whose background waits: settle and rest have it go on.
func open(t testing.TB, dir string, o wal.Options) *wal.Log {
	t.Helper()
	if o.Clock == nil {
		o.Clock = clocktest.New(time.UnixMilli(1_700_000_000_000))
	}
	if o.Background == nil {
		o.Background = heldBackground(t, o.Clock)
	}
	return openRunning(t, dir, o)
}

// heldBackground does nothing by itself.
func heldBackground(t testing.TB, c clock.Clock) *wal.Background {
	b := wal.NewBackground(-1, c)
	b.Hold()
	t.Cleanup(b.Close)
	return b
}

// settle has the background do what waits to be done. From then on it waits.
func settle(l *wal.Log) {
	step, _ := wal.BackgroundOf(l).Hold()
	step()
}

// rest is settle of a log that nobody uses for so long that no timer is left. Its clock is
// clocktest's.
func rest(l *wal.Log) {
	settle(l)
	c := wal.ClockOf(l).(*clocktest.Clock)
	for n := 0; c.Timers() > 0 && n < 20; n++ {
		c.Step(5 * time.Second)
		settle(l)
	}
}

// openRunning opens a log as its users do.
func openRunning(t testing.TB, dir string, o wal.Options) *wal.Log {
	t.Helper()
	if o.SegmentSize == 0 {
		o.SegmentSize = wal.MinSegmentSize
	}
	if o.Logger == nil {
		o.Logger = quiet()
	}
	l, err := wal.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func consumer(t testing.TB, l *wal.Log) *wal.Consumer {
	t.Helper()
	c, err := l.Consumer("", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t testing.TB, l *wal.Log, payload string) wal.Position {
	t.Helper()
	p, err := l.Append([]byte(payload), wal.Meta{Flags: 7, Expires: 99})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// next returns the next item's payload, "" at the end.
func next(t testing.TB, l *wal.Log, c *wal.Consumer) (wal.Position, string) {
	t.Helper()
	p, _, ok, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return p, ""
	}
	b, m, err := l.Read(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.Flags != 7 || m.Expires != 99 || m.Enqueued == 0 || p.Flags != 7 ||
		p.Size != int64(len(b)) {
		t.Fatalf("item %d: got %+v %+v", p.Seq, p, m)
	}
	return p, string(b)
}

func payload(i int) string { return fmt.Sprintf("item %06d", i) }

func TestItemsComeBackInOrderAcrossSegmentsAndRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "q")
	const n = 5000
	l := open(t, dir, wal.Options{})
	c := consumer(t, l)
	for i := range n {
		put(t, l, payload(i))
	}
	for i := range n {
		if i%1000 == 500 { // a restart puts back what was handed out and not taken
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, dir, wal.Options{})
			c = consumer(t, l)
		}
		p, got := next(t, l, c)
		if got != payload(i) {
			t.Fatalf("item %d: got %q", i, got)
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, got := next(t, l, c); got != "" {
		t.Fatalf("got %q from an empty log", got)
	}
	if items, bytes := c.Pending(); items != 0 || bytes != 0 {
		t.Fatalf("got %d items, %d bytes, want an empty log", items, bytes)
	}
	if s := l.Stats(); s.Damaged != 0 || s.Appended != n {
		t.Fatalf("got %+v, want nothing damaged and all items", s)
	}
}

func BenchmarkAppendNextReadTake64(b *testing.B) {
	l := openRunning(b, filepath.Join(b.TempDir(), "q"),
		wal.Options{SegmentSize: wal.DefaultSegmentSize})
	c := consumer(b, l)
	body := make([]byte, 64)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Append(body, wal.Meta{Enqueued: 1}); err != nil {
			b.Fatal(err)
		}
		p, _, _, err := c.Next()
		if err != nil {
			b.Fatal(err)
		}
		if buf, _, err = l.Read(p, buf[:0]); err != nil {
			b.Fatal(err)
		}
		if err := c.Take(p); err != nil {
			b.Fatal(err)
		}
	}
}

// upload stores a large item.
func upload(l *wal.Log, b []byte) (p wal.Position, err error) {
	u, err := l.BeginLarge(int64(len(b)), wal.Meta{})
	if err != nil {
		return p, err
	}
	for part := range slices.Chunk(b, 50_000) {
		if _, err := u.Write(part); err != nil {
			return p, err
		}
	}
	return u.Commit()
}
