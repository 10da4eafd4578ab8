package wal

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
)

var errBudget = errors.New("over the budget")

// budget admits up to a number of bytes in use.
type budget struct {
	fs    *disktest.FS
	limit atomic.Int64
	asked atomic.Int64
}

func (b *budget) admit(bytes int64) error {
	b.asked.Add(1)
	if b.fs.Used()+bytes > b.limit.Load() {
		return errBudget
	}
	return nil
}

// open opens a log whose background does nothing.
func (b *budget) open(t *testing.T, segmentSize int64) *Log {
	t.Helper()
	slow := NewBackground(-1, nil)
	slow.Hold()
	t.Cleanup(slow.Close)
	l, err := Open("/q", Options{FS: b.fs, SegmentSize: segmentSize, SyncEvery: SyncNever,
		Admit: b.admit, Background: slow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func budgeted(t *testing.T, limit int64) (*Log, *Consumer, *budget) {
	t.Helper()
	b := &budget{fs: disktest.New()}
	b.limit.Store(limit)
	l := b.open(t, MinSegmentSize*2)
	c, err := l.Consumer("", Oldest)
	if err != nil {
		t.Fatal(err)
	}
	return l, c, b
}

// fillUp appends until an item is refused.
func fillUp(t *testing.T, l *Log) (stored int) {
	t.Helper()
	for ; ; stored++ {
		_, err := l.Append(make([]byte, 1000), Meta{})
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrFull) || !errors.Is(err, errBudget) ||
			err.Error() != errBudget.Error() {
			t.Fatalf("got %v, want the refusal of Admit as an ErrFull", err)
		}
		return stored
	}
}

func take(t *testing.T, c *Consumer, n int) {
	t.Helper()
	for range n {
		p, _, ok, err := c.Next()
		if err != nil || !ok {
			t.Fatalf("got ok %v and %v, want an item", ok, err)
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestItemsThatAreNotAdmittedAreRefusedUntilThereIsRoom(t *testing.T) {
	const limit = 1 << 20
	l, c, b := budgeted(t, limit)
	n := fillUp(t, l)
	// What does not ask: an index, an offset file.
	if used := b.fs.Used(); used > limit+64<<10 || n < limit/1000/2 {
		t.Fatalf("got %d items with %d bytes in use, want at most %d and half of that used",
			n, used, limit)
	}
	take(t, c, n/2)
	l.GiveBack()
	if more := fillUp(t, l); more < n/4 || b.fs.Used() > limit+64<<10 {
		t.Errorf("%d of %d items taken: got room for %d and %d bytes in use, want room for half as many",
			n/2, n, more, b.fs.Used())
	}
	for { // all of it: also the segment that takes appends goes
		p, _, ok, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	const little = 2*segment.FirstExtent + 16<<10
	l.GiveBack()
	if used := b.fs.Used(); used > little {
		t.Fatalf("got %d bytes in use, want at most %d once all is taken", used, little)
	}
	if more := fillUp(t, l); more < n {
		t.Errorf("got room for %d items once all is taken, want %d as before", more, n)
	}
}

func TestLargeItemsAreRefusedBeforeTheyCome(t *testing.T) {
	l, _, b := budgeted(t, 1<<20)
	if _, err := l.BeginLarge(2<<20, Meta{}); !errors.Is(err, ErrFull) ||
		!errors.Is(err, errBudget) {
		t.Fatalf("BeginLarge: got %v, want the refusal of Admit as an ErrFull", err)
	}
	w, err := l.BeginLarge(500_000, Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	b.limit.Store(0) // others were quicker
	if _, err := w.Write(make([]byte, 400_000)); !errors.Is(err, errBudget) {
		t.Fatalf("Write: got %v, want the refusal of Admit", err)
	}
	if err := w.Abort(); err != nil || b.fs.Used() != 0 {
		t.Fatalf("got %d bytes in use after Abort and %v, want none", b.fs.Used(), err)
	}
}

// Taking in and out of order, the rewriting of offset files, sealing, syncing, closing: none of it
// needs to be admitted.
func TestWithNothingAdmittedAllButNewItemsGoesOn(t *testing.T) {
	l, c, b := budgeted(t, 1<<20)
	n := fillUp(t, l)
	b.limit.Store(0)
	var taken []Position
	for range n - 1 {
		p, _, ok, err := c.Next()
		if err != nil || !ok {
			t.Fatalf("got ok %v and %v, want an item", ok, err)
		}
		taken = append(taken, p)
	}
	for i := len(taken) - 1; i >= 0; i -= 2 {
		if err := c.Take(taken[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.rewrite(l.rewriteBound()); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := range taken {
		if err := c.Take(taken[i]); err != nil {
			t.Fatal(err)
		}
	}
	l.GiveBack()
	take(t, c, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if used := b.fs.Used(); used > 80<<10 {
		t.Errorf("got %d bytes in use by an empty log that is closed, want at most 80 KiB", used)
	}
	if v := b.fs.Violations(); len(v) > 0 {
		t.Errorf("got stores without blocks: %v", v)
	}
}

func TestAnItemWithRoomInItsSegmentAsksForNothing(t *testing.T) {
	l, c, b := budgeted(t, 1<<20)
	if _, err := l.Append(bytes.Repeat([]byte("x"), 100), Meta{}); err != nil {
		t.Fatal(err)
	}
	b.asked.Store(0)
	for range 100 {
		if _, err := l.Append([]byte("y"), Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	take(t, c, 101)
	if asked := b.asked.Load(); asked != 0 {
		t.Errorf("got %d calls of Admit, want none", asked)
	}
}

func TestNothingIsPreparedOverTheBudget(t *testing.T) {
	b := &budget{fs: disktest.New()}
	b.limit.Store(1 << 20)
	l := b.open(t, MinSegmentSize)
	if _, err := l.Append(make([]byte, 1000), Meta{}); err != nil {
		t.Fatal(err)
	}
	before := b.fs.Used()
	b.limit.Store(0)
	for range 40 { // into the second half, where the next segment is prepared
		if _, err := l.Append(make([]byte, 1000), Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	l.prepare()
	if used := b.fs.Used(); used > before {
		t.Errorf("got %d bytes allocated ahead, want none over the budget", used-before)
	}
	b.limit.Store(1 << 20)
	l.prepare()
	if used := b.fs.Used(); used == before {
		t.Error("got nothing allocated ahead, want the next segment within the budget")
	}
}
