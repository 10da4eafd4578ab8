package wal_test

// Many logs that want a sync share one of their file system. All that a sync promises holds of a
// shared one.

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

const manyLogs = 100

// crowd is many logs with one background, on a file system where calls are counted.
type crowd struct {
	memory
	background *wal.Background
	clock      *clocktest.Clock
	logs       []*wal.Log
	wholes     atomic.Int64 // syncs of the file system
	files      atomic.Int64 // of one file
	fail       atomic.Pointer[func(op disktest.Op, name string) error]
}

func newCrowd(t *testing.T, every time.Duration) *crowd {
	c := &crowd{memory: newMemory(t), clock: clocktest.New(time.UnixMilli(1))}
	c.background = heldBackground(t, c.clock)
	c.crowdOn(c.FS, every)
	c.Fail(func(op disktest.Op, name string, _ int) error {
		switch op {
		case disktest.OpSyncAll:
			c.wholes.Add(1)
		case disktest.OpSync:
			c.files.Add(1)
		}
		if fail := c.fail.Load(); fail != nil {
			return (*fail)(op, name)
		}
		return nil
	})
	return c
}

func (c *crowd) crowdOn(fsys disk.FS, every time.Duration) {
	t := c.t
	if err := c.WriteFile("/data/.lock", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.background.SyncTogether(fsys, "/data/.lock"); err != nil {
		t.Fatal(err)
	}
	for i := range manyLogs {
		o := options(fsys)
		o.Background, o.SyncEvery, o.Clock = c.background, every, c.clock
		c.logs = append(c.logs, open(t, c.dir(i), o))
		consumer(t, c.logs[i])
	}
}

func (c *crowd) dir(i int) string { return fmt.Sprintf("/data/q%d", i) }

// syncAll has every log asked for a sync before any can have had one, and returns what each
// got.
func (c *crowd) syncAll() (errs []error) {
	errs = make([]error, len(c.logs))
	release := wal.HoldSyncs(c.background)
	var all sync.WaitGroup
	for i, l := range c.logs {
		all.Add(1)
		l.SyncThen(func(err error) { errs[i] = err; all.Done() })
	}
	release()
	all.Wait()
	return errs
}

func (c *crowd) fill() {
	for i, l := range c.logs {
		put(c.t, l, payload(i))
	}
}

func TestManyLogsShareOneSync(t *testing.T) {
	c := newCrowd(t, wal.SyncNever)
	c.fill()
	c.wholes.Store(0)
	c.files.Store(0)
	for i, err := range c.syncAll() {
		if err != nil {
			t.Fatalf("log %d: %v", i, err)
		}
	}
	if wholes, files := c.wholes.Load(), c.files.Load(); wholes != 1 || files > 0 {
		t.Errorf("%d logs: got %d syncs of the file system and %d of files, want one and none",
			manyLogs, wholes, files)
	}
	for seed := range uint64(3) {
		after := memory{c.Crash(rand.New(rand.NewPCG(seed, 1))), t}
		for i := range c.logs {
			l := open(t, c.dir(i), options(after.FS))
			if got := drain(t, l, consumer(t, l)); len(got) != 1 || got[0] != string(payload(i)) {
				t.Fatalf("seed %d, log %d: got %q after a power cut", seed, i, got)
			}
			l.Close()
		}
	}
}

func TestFewLogsAreSyncedEachForItself(t *testing.T) {
	c := newCrowd(t, wal.SyncNever)
	c.logs = c.logs[:10]
	c.fill()
	c.wholes.Store(0)
	for i, err := range c.syncAll() {
		if err != nil {
			t.Fatalf("log %d: %v", i, err)
		}
	}
	if wholes := c.wholes.Load(); wholes != 0 {
		t.Errorf("got %d syncs of the file system for 10 logs, want none", wholes)
	}
}

func TestLogsThatGetDirtyAtDifferentTimesComeToBeSyncedTogether(t *testing.T) {
	c := newCrowd(t, time.Second)
	for round := range int64(3) {
		for i, l := range c.logs {
			put(t, l, payload(i))
			c.clock.Step(time.Millisecond)
		}
		release := wal.HoldSyncs(c.background)
		c.clock.Step(time.Second - manyLogs*time.Millisecond) // only the first is due
		release()
		for i, l := range c.logs {
			wal.AwaitSyncs(l)
			if l.Unsynced() {
				t.Errorf("round %d: got log %d unsynced, want it synced with the first", round, i)
			}
		}
		if wholes := c.wholes.Load(); wholes != round+1 {
			t.Errorf("got %d syncs of the file system, want %d", wholes, round+1)
		}
	}
}

func TestASharedSyncThatFailsCostsTheLogsWhoseDataWasLost(t *testing.T) {
	c := newCrowd(t, wal.SyncNever)
	c.fill()
	fail := func(op disktest.Op, name string) error {
		if op == disktest.OpSyncAll || op == disktest.OpSync &&
			strings.HasPrefix(name, c.dir(7)+"/") {
			return syscall.EIO
		}
		return nil
	}
	c.fail.Store(&fail)
	errs := c.syncAll()
	c.fail.Store(nil)
	// And again, now that the file system does not report the failure any more.
	put(t, c.logs[8], payload(1000))
	c.wholes.Store(0)
	if err := c.syncAll()[8]; err != nil || c.wholes.Load() > 0 {
		t.Errorf("got %v and %d syncs of the file system after one failed, want none",
			err, c.wholes.Load())
	}
	for i, err := range errs {
		if want := i == 7; errors.Is(err, wal.ErrFailed) != want || (err != nil) != want {
			t.Errorf("log %d: got %v", i, err)
		}
	}
	after := memory{c.Crash(rand.New(rand.NewPCG(3, 3))), t}
	for i := range c.logs {
		l := open(t, c.dir(i), options(after.FS))
		if got := drain(t, l, consumer(t, l)); i != 7 && len(got) < 1 {
			t.Fatalf("log %d: got %q after a power cut", i, got)
		}
		l.Close()
	}
}

// elsewhere has some directories on another file system.
type elsewhere struct {
	*disktest.FS
	is func(name string) bool
}

func (e elsewhere) Volume(file string) (disk.Volume, error) {
	w, err := e.FS.Volume(file)
	return partly{w, e.is}, err
}

type partly struct {
	disk.Volume
	elsewhere func(name string) bool
}

func (p partly) Holds(name string) bool { return !p.elsewhere(name) }

func TestALogOnAnotherFileSystemIsSyncedForItself(t *testing.T) {
	c := &crowd{memory: newMemory(t), clock: clocktest.New(time.UnixMilli(1))}
	c.background = heldBackground(t, c.clock)
	c.crowdOn(elsewhere{c.FS, func(name string) bool { return path.Clean(name) == c.dir(7) }},
		wal.SyncNever)
	c.fill()
	var synced sync.Map
	c.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpSync {
			synced.Store(path.Dir(name), true)
		}
		return nil
	})
	for i, err := range c.syncAll() {
		if err != nil {
			t.Fatalf("log %d: %v", i, err)
		}
	}
	for i := range c.logs {
		if _, alone := synced.Load(c.dir(i)); alone != (i == 7) {
			t.Errorf("log %d: got %v as synced by itself", i, alone)
		}
	}
}

func TestLogsThatAreClosedAreOutOfTheCrowd(t *testing.T) {
	c := newCrowd(t, time.Hour)
	c.fill()
	for i, l := range c.logs[:90] {
		if i%2 == 0 {
			l.Abandon()
		} else if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := wal.DirtyLogs(c.background); n != 10 {
		t.Errorf("got %d dirty logs, want 10", n)
	}
	if err := c.logs[95].Sync(); err != nil {
		t.Fatal(err)
	}
	if n := wal.DirtyLogs(c.background); n != 9 {
		t.Errorf("got %d dirty logs, want 9", n)
	}
}

func TestASharedSyncTellsOfATakeThatCouldNotBeStored(t *testing.T) {
	c := newCrowd(t, wal.SyncNever)
	c.fill()
	for _, l := range c.logs {
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	wal.FaultInOffsets(c.logs[7], errors.New("the page cannot be written"))
	for i, err := range c.syncAll() {
		if (err != nil) != (i == 7) {
			t.Errorf("log %d: got %v", i, err)
		}
	}
}
