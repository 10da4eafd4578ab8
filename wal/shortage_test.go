package wal_test

// What a shortage of descriptors or memory may cost: time, and nothing else.

import (
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// A sync that fails makes offset files due again. That must not request the cleanup whose sync it
// was.
func TestACleanupThatFailsForWantOfDescriptorsEnds(t *testing.T) {
	m := newMemory(t)
	l := open(t, "/data/q", wal.WithOffsetCapacity(options(m.FS), 64<<10))
	c := consumer(t, l)
	var all []wal.Position
	for i := range 4000 {
		put(t, l, string(make([]byte, 150)))
		p, _ := next(t, l, c)
		all = append(all, p)
		if i%500 == 0 {
			settle(l)
		}
	}
	syncNow(t, l)
	settle(l)
	const most = 1000
	failed := 0
	m.Fail(func(op disktest.Op, _ string, _ int) error {
		switch op {
		case disktest.OpSyncDir, disktest.OpCreate, disktest.OpOpen, disktest.OpReadDir:
			if failed++; failed < most { // else it would never end
				return syscall.EMFILE
			}
		}
		return nil
	})
	for i := 1000; i < 4000; i += 2 {
		if err := c.Take(all[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 900 {
		if i%100 == 99 {
			settle(l)
		}
		if err := c.Take(all[i]); err != nil {
			t.Fatal(err)
		}
	}
	settle(l)
	if failed >= most {
		t.Errorf("got %d calls that failed, want a few", failed)
	}
	if err := l.Err(); err != nil {
		t.Errorf("got %v, want a log that goes on", err)
	}
}

func TestSyncsGoOnAfterASegmentCouldNotBeNamedForNow(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	now := clocktest.New(time.UnixMilli(0))
	o.SyncEvery, o.Clock = time.Second, now
	l := open(t, "/data/q", o)
	m.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpRename {
			return syscall.ENOMEM
		}
		return nil
	})
	for range 500 {
		put(t, l, string(make([]byte, 150)))
	}
	settle(l)
	for range 100 {
		put(t, l, string(make([]byte, 150)))
	}
	now.Step(time.Second)
	wal.AwaitSyncs(l)
	m.Fail(nil)
	put(t, l, "after the shortage")
	now.Step(time.Second)
	wal.AwaitSyncs(l)
	if l.Unsynced() {
		t.Error("got items that are not synced after the interval, want none")
	}
}
