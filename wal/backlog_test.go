package wal_test

// How many bytes may await sealing, and how callers wait for that to become less.

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

// tryAppend is TryAppend that waits for room to be made, but not for the backlog of sealing.
func tryAppend(l *wal.Log, payload []byte, m wal.Meta) (p wal.Position, err error) {
	for p, err = l.TryAppend(payload, m); err == wal.ErrUnready; p, err = l.TryAppend(payload, m) {
		l.CatchUp()
	}
	return p, err
}

func TestALogRefusesItemsBeforeItsBacklogGrowsWithoutBound(t *testing.T) {
	l, release := slowDisk(t)
	var err error
	n := 0
	for ; err == nil && n < 100_000; n++ {
		_, err = tryAppend(l, []byte("an item of some length"), wal.Meta{})
	}
	if !errors.Is(err, wal.ErrBacklog) {
		t.Fatalf("got %d items stored, then %v, want ErrBacklog", n, err)
	}
	if s := l.Stats().Segments; s > 6 {
		t.Errorf("got %d segments, want at most 6", s)
	}
	called := caughtUp(l)
	release(nil)
	<-called
	for range n / 4 { // a good many fit now
		if _, err := tryAppend(l, []byte("an item of some length"), wal.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	if items, _ := consumer(t, l).Pending(); int(items) != n-1+n/4 {
		t.Errorf("got %d items, want %d", items, n-1+n/4)
	}
}

func TestAppendWaitsForTheBacklog(t *testing.T) {
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
	called := caughtUp(l)
	closed := make(chan struct{})
	go func() { l.Abandon(); close(closed) }()
	<-called
	release(nil)
	<-closed
}

// fillUp appends until the backlog refuses an item.
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

func TestACallerThatWaitsForTheBacklogIsCalledOnceOrForgotten(t *testing.T) {
	l, release := slowDisk(t)
	fillUp(t, l)
	const n = 5
	called := make(chan int, 2*n)
	var stops []func() bool
	for i := range n {
		stops = append(stops, l.CatchUpThen(func() { called <- i }))
	}
	if !stops[2]() || stops[2]() {
		t.Error("got another outcome, want that stop cancels a call once")
	}
	select {
	case i := <-called:
		t.Fatalf("got call %d, want none before the backlog is smaller", i)
	default:
	}
	release(nil)
	for _, want := range []int{0, 1, 3, 4} {
		if i := <-called; i != want {
			t.Errorf("got call %d, want %d", i, want)
		}
	}
	for i, stop := range stops {
		if stop() {
			t.Errorf("stop of call %d: got true, want false after the call", i)
		}
	}
	<-caughtUp(l)
	l.Close()
	if len(called) > 0 {
		t.Errorf("got call %d twice, want it once", <-called)
	}
}

// caughtUp returns what is closed when CatchUpThen calls.
func caughtUp(l *wal.Log) <-chan struct{} {
	called := make(chan struct{})
	l.CatchUpThen(func() { close(called) })
	return called
}

func TestTheBacklogIsGoneWhenItsItemsAreTaken(t *testing.T) {
	l, release := slowDisk(t)
	c := consumer(t, l)
	_, resume := wal.BackgroundOf(l).Hold()
	fillUp(t, l)
	called := caughtUp(l)
	for p, item := next(t, l, c); item != ""; p, item = next(t, l, c) {
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	resume()
	release(nil)
	<-called
}

func TestADiskThatFailsKeepsNobodyWaiting(t *testing.T) {
	l, release := slowDisk(t)
	wal.BackgroundOf(l).Hold() // a sync for somebody else may be the one that fails
	fillUp(t, l)
	called := caughtUp(l)
	broken := errors.New("the disk is broken")
	release(broken)
	l.Sync()
	<-called
	if _, err := tryAppend(l, []byte("x"), wal.Meta{}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the disk's error", err)
	}
}

func TestALargeItemWaitsForTheBacklog(t *testing.T) {
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
			t.Fatalf("TryCommit: got %v, want ErrBacklog", err)
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
			t.Fatalf("got the end of the log and %v, want the large item", err)
		}
		if q.Seq == p.Seq {
			break
		}
	}
	if _, _, ok, _ := c.Next(); ok {
		t.Error("got an item after the large one, want none")
	}
}
