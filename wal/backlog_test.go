package wal_test

// How far the disk may lag behind the items.

import (
	"errors"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// slowDisk is a log on a disk whose syncs and renames wait until release is called, and have its
// outcome.
func slowDisk(t *testing.T) (l *wal.Log, release func(error)) {
	m := newMemory(t)
	o := options(m.FS)
	o.Lag = 4 * o.SegmentSize
	o.SyncEvery = wal.SyncNever
	l = openRunning(t, "/data/q", o)
	var outcome error
	gate := make(chan struct{})
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op != disktest.OpSync && op != disktest.OpRename {
			return nil
		}
		<-gate
		return outcome
	})
	var once sync.Once
	release = func(err error) { once.Do(func() { outcome = err; close(gate) }) }
	t.Cleanup(func() { release(nil) })
	return l, release
}

// tryAppend is TryAppend that waits for what is got ready, but not for a disk that is behind.
func tryAppend(l *wal.Log, payload []byte, m wal.Meta) (p wal.Position, err error) {
	for p, err = l.TryAppend(payload, m); err == wal.ErrUnready; p, err = l.TryAppend(payload, m) {
		l.CatchUp()
	}
	return p, err
}

func TestALogThatTheDiskDoesNotKeepUpWithRefusesBeforeItGrowsWithoutBound(t *testing.T) {
	l, release := slowDisk(t)
	var err error
	n := 0
	for ; err == nil && n < 100_000; n++ {
		_, err = tryAppend(l, []byte("an item of some length"), wal.Meta{})
	}
	if !errors.Is(err, wal.ErrBacklog) {
		t.Fatalf("%d items were stored: %v", n, err)
	}
	if s := l.Stats().Segments; s > 6 {
		t.Errorf("%d segments await sealing", s)
	}
	told := caughtUp(l)
	release(nil)
	<-told
	for range n / 4 { // a good many fit now
		if _, err := tryAppend(l, []byte("an item of some length"), wal.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	if items, _ := consumer(t, l).Pending(); int(items) != n-1+n/4 {
		t.Errorf("%d items wait of %d", items, n-1+n/4)
	}
}

func TestAppendWaitsForADiskThatIsBehind(t *testing.T) {
	l, release := slowDisk(t)
	consumer(t, l)
	done := make(chan error)
	go func() {
		for range 20_000 {
			if _, err := l.Append([]byte("an item of some length"), wal.Meta{}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	release(nil)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCatchingUpEndsWithTheLog(t *testing.T) {
	l, release := slowDisk(t)
	fillUp(t, l)
	told := caughtUp(l)
	closed := make(chan struct{})
	go func() { l.Abandon(); close(closed) }()
	<-told
	release(nil)
	<-closed
}

// fillUp appends until the disk is behind.
func fillUp(t *testing.T, l *wal.Log) {
	t.Helper()
	var err error
	for n := 0; err == nil && n < 100_000; n++ {
		_, err = tryAppend(l, []byte("an item of some length"), wal.Meta{Flags: 7, Expires: 99})
	}
	if !errors.Is(err, wal.ErrBacklog) {
		t.Fatal(err)
	}
}

func TestWhoWaitsForADiskThatIsBehindIsToldOnceOrForgotten(t *testing.T) {
	l, release := slowDisk(t)
	fillUp(t, l)
	const n = 5
	told := make(chan int, 2*n)
	var stops []func() bool
	for i := range n {
		stops = append(stops, l.CatchUpThen(func() { told <- i }))
	}
	if !stops[2]() || stops[2]() {
		t.Error("one that waits is not forgotten, or twice")
	}
	select {
	case i := <-told:
		t.Fatalf("%d is told while the disk is behind", i)
	default:
	}
	release(nil)
	for _, want := range []int{0, 1, 3, 4} {
		if i := <-told; i != want {
			t.Errorf("%d is told before %d", i, want)
		}
	}
	for i, stop := range stops {
		if stop() {
			t.Errorf("%d is forgotten after it was told", i)
		}
	}
	<-caughtUp(l)
	l.Close()
	if len(told) > 0 {
		t.Errorf("%d is told twice", <-told)
	}
}

// caughtUp returns what is closed when CatchUpThen calls.
func caughtUp(l *wal.Log) <-chan struct{} {
	called := make(chan struct{})
	l.CatchUpThen(func() { close(called) })
	return called
}

func TestALogIsNotBehindWhenWhatAwaitedTheDiskIsTaken(t *testing.T) {
	l, release := slowDisk(t)
	c := consumer(t, l)
	_, goOn := wal.BackgroundOf(l).Hold()
	fillUp(t, l)
	told := caughtUp(l)
	for p, item := next(t, l, c); item != ""; p, item = next(t, l, c) {
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	goOn()
	release(nil)
	<-told
}

func TestADiskThatFailsKeepsNobodyWaiting(t *testing.T) {
	l, release := slowDisk(t)
	wal.BackgroundOf(l).Hold() // a sync for somebody else may be the one that fails
	fillUp(t, l)
	told := caughtUp(l)
	broken := errors.New("the disk is broken")
	release(broken)
	l.Sync()
	<-told
	if _, err := tryAppend(l, []byte("x"), wal.Meta{}); !errors.Is(err, broken) {
		t.Errorf("the refusal is %v", err)
	}
}

func TestALargeItemWaitsForADiskThatIsBehind(t *testing.T) {
	l, release := slowDisk(t)
	fillUp(t, l)
	w, err := l.BeginLarge(4, wal.Meta{Flags: 7, Expires: 99})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("body")); err != nil {
		t.Fatal(err)
	}
	for err = error(nil); err == nil; { // the last bit of the segment
		_, err = tryAppend(l, nil, wal.Meta{Flags: 7, Expires: 99})
	}
	for range 2 {
		if _, err := w.TryCommit(); !errors.Is(err, wal.ErrBacklog) {
			t.Fatalf("committed: %v", err)
		}
	}
	release(nil)
	p, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	c := consumer(t, l)
	for q, _, ok, err := c.Next(); ; q, _, ok, err = c.Next() {
		if !ok || err != nil {
			t.Fatalf("it is not the last item: %v", err)
		}
		if q.Seq == p.Seq {
			break
		}
	}
	if _, _, ok, _ := c.Next(); ok {
		t.Error("it is there twice")
	}
}
