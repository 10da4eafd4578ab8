package queue

import (
	"errors"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// slow is a registry with a queue on a disk that takes nothing until release is called, which is
// refused items.
func backlogged(t *testing.T) (q *Queue, release func(), refused error) {
	t.Helper()
	fs := disktest.New()
	o := small()
	o.Log.FS, o.Log.Lag = fs, 2*o.Log.SegmentSize
	q = named(t, open(t, "/data", o), "work")
	put(t, q, "first")
	gate := make(chan struct{})
	fs.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpSync {
			<-gate
		}
		return nil
	})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	for n := 0; refused == nil && n < 100_000; n++ {
		refused = q.Put([]byte("an item of some length"), wal.Meta{})
	}
	return q, release, refused
}

// caughtUp returns what is closed when it is time to try again.
func caughtUp(q *Queue) <-chan struct{} {
	called := make(chan struct{})
	q.CatchUpThen(func() { close(called) })
	return called
}

func TestAPutThatTheDiskDoesNotKeepUpWithIsRefusedUntilItCaughtUp(t *testing.T) {
	q, release, refused := backlogged(t)
	if !errors.Is(refused, ErrBacklog) || errors.Is(refused, wal.ErrFull) ||
		errors.Is(refused, ErrDiscardOldest) {
		t.Fatalf("got refusal %v, want ErrBacklog alone", refused)
	}
	again := caughtUp(q)
	release()
	<-again
	put(t, q, "after that")
}

func TestAQueueWhoseDiskIsWaitedForIsNotParked(t *testing.T) {
	q, release, _ := backlogged(t)
	stop := q.CatchUpThen(func() { t.Error("got a call after stop, want none") })
	again := caughtUp(q)
	now := q.store.reg.tick.Add(1) + 1
	if q.store.park(now) {
		t.Fatal("got a parked queue, want it loaded while its disk is waited for")
	}
	stop()
	stop()
	release()
	<-again
	if q.store.pins != 0 {
		t.Errorf("got %d pins, want none", q.store.pins)
	}
	park(t, q)
	<-caughtUp(q)
}

func TestAQueueThatIsDeletedKeepsNobodyWaitingForItsDisk(t *testing.T) {
	q, release, _ := backlogged(t)
	again := caughtUp(q)
	deleted := make(chan error, 1)
	go func() { deleted <- q.Delete() }()
	<-again
	release()
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	put(t, q, "another")
	wants(t, q, "another")
}

func TestALargeItemThatTheDiskDoesNotKeepUpWithIsNotLost(t *testing.T) {
	q, release, _ := backlogged(t)
	u, err := q.BeginLarge(4, wal.Meta{})
	if err == nil {
		_, err = u.Write([]byte("body"))
	}
	for err == nil { // the last bit of the segment
		err = q.Put(nil, wal.Meta{})
	}
	if err := u.Commit(); !errors.Is(err, ErrBacklog) {
		t.Fatalf("got refusal %v, want ErrBacklog", err)
	}
	before, uploads := q.Stats().Items, q.store.uploads
	again := caughtUp(q)
	release()
	<-again
	if err := u.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := q.Stats().Items; n != before+1 || uploads != 1 || q.store.uploads != 0 {
		t.Errorf("got %d items, %d uploads, then %d, want %d, 1, then 0",
			n, uploads, q.store.uploads, before+1)
	}
}
