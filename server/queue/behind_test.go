package queue

import (
	"errors"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func TestAPutThatTheDiskDoesNotKeepUpWithIsRefusedUntilRoomIsMade(t *testing.T) {
	fs := disktest.New()
	o := small()
	o.Log.FS, o.Log.Lag = fs, 2*o.Log.SegmentSize
	q := named(t, open(t, "/data", o), "work")
	put(t, q, "first")
	gate := make(chan struct{})
	fs.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpSync {
			<-gate
		}
		return nil
	})
	var err error
	for n := 0; err == nil && n < 100_000; n++ {
		err = q.Put([]byte("an item of some length"), wal.Meta{})
	}
	if !errors.Is(err, ErrMakeRoom) || !errors.Is(err, wal.ErrBehind) || errors.Is(err, wal.ErrFull) {
		t.Fatalf("the refusal is %v", err)
	}
	close(gate)
	if err := q.MakeRoom(err); err != nil {
		t.Fatal(err)
	}
	put(t, q, "after that")
}
