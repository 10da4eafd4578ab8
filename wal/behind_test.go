package wal_test

// How far the disk may lag behind the items.

import (
	"errors"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// slowDisk is a log on a disk whose syncs wait until release is called.
func slowDisk(t *testing.T) (l *wal.Log, release func()) {
	m := newMemory(t)
	o := options(m.FS)
	o.Lag = 4 * o.SegmentSize
	o.SyncEvery = wal.SyncNever
	l = open(t, "/data/q", o)
	gate := make(chan struct{})
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpSync {
			<-gate
		}
		return nil
	})
	return l, func() { close(gate) }
}

func TestALogThatTheDiskDoesNotKeepUpWithRefusesBeforeItGrowsWithoutBound(t *testing.T) {
	l, release := slowDisk(t)
	var err error
	n := 0
	for ; err == nil && n < 100_000; n++ {
		_, err = l.TryAppend([]byte("an item of some length"), wal.Meta{})
	}
	if !errors.Is(err, wal.ErrBehind) {
		t.Fatalf("%d items were stored: %v", n, err)
	}
	if s := l.Stats().Segments; s > 6 {
		t.Errorf("%d segments await sealing", s)
	}
	release()
	l.CatchUp()
	for range n / 4 { // a good many fit now
		if _, err := l.TryAppend([]byte("an item of some length"), wal.Meta{}); err != nil {
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
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCatchingUpEndsWithTheLog(t *testing.T) {
	l, release := slowDisk(t)
	for err := error(nil); err == nil; {
		_, err = l.TryAppend([]byte("an item of some length"), wal.Meta{})
	}
	caughtUp := make(chan struct{})
	go func() { l.CatchUp(); close(caughtUp) }()
	closed := make(chan struct{})
	go func() { l.Abandon(); close(closed) }()
	<-caughtUp
	release()
	<-closed
}
