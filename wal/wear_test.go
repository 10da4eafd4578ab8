package wal_test

// What a sync writes, and what opening a log reads: no more than it must.

import (
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// calls notes the names of the files that calls of some kinds are for.
type calls struct {
	mu    sync.Mutex
	names []string
}

func (m memory) watch(kinds ...disktest.Op) *calls {
	c := &calls{}
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if slices.Contains(kinds, op) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.names = append(c.names, path.Base(name))
		}
		return nil
	})
	return c
}

// since returns what was noted since the last time.
func (c *calls) since() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names
	c.names = nil
	return names
}

func syncNow(t *testing.T, l *wal.Log) {
	t.Helper()
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
}

func TestASyncWritesTheFilesThatChangedAndNoOther(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	put(t, l, "a")
	syncNow(t, l)
	synced := m.watch(disktest.OpSync, disktest.OpSyncDir)
	const segment, offsets = "00000000000000000001.seg", "consumer.off"
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"nothing", func() {}, nil},
		{"two items", func() { put(t, l, "b"); put(t, l, "c") }, []string{segment}},
		{"an item taken", func() { p, _ := next(t, l, c); c.Take(p) }, []string{offsets}},
		{"an item handed out", func() { next(t, l, c) }, nil},
		{"an item, one taken", func() { put(t, l, "d"); p, _ := next(t, l, c); c.Take(p) },
			[]string{segment, offsets}},
	} {
		step.do()
		syncNow(t, l)
		if got := synced.since(); !slices.Equal(got, step.want) {
			t.Errorf("after %s: got %q synced, want %q", step.what, got, step.want)
		}
	}
}

// Taking in order keeps to the first block of the offset file, however often it is synced.
func TestTakingInOrderWritesOneBlock(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	for i := range 1000 {
		put(t, l, payload(i))
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
		syncNow(t, l)
	}
	file, err := m.ReadFile("/data/q/consumer.off")
	if err != nil {
		t.Fatal(err)
	}
	if used := len(file); used > 4<<10 {
		t.Errorf("got an offset file of %d bytes, want at most 4 KiB", used)
	}
	const slots, slot = 2, 512
	// With both lost, the checkpoints still say where the head was at the last sync.
	for i := range slots {
		if err := m.Corrupt("/data/q/consumer.off", int64(i*slot), 0xff); err != nil {
			t.Fatal(err)
		}
	}
	copy := m.Clone()
	again := open(t, "/data/q", options(copy))
	put(t, again, "next")
	if _, got := next(t, again, consumer(t, again)); got != "next" {
		t.Errorf("with both slots lost: got %q, want the next item", got)
	}
}

func TestOpeningALogOpensItsLastSegmentsAlone(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	fill(t, l, 0, 30000)
	settle(l)
	if n := len(m.files(".seg")); n < 20 {
		t.Fatalf("got %d segments, want at least 20", n)
	}
	for _, how := range []string{"kill", "close"} {
		killed := memory{m.Clone(), t}
		if how == "close" {
			l.Close()
			killed = memory{m.Clone(), t}
		}
		opened := killed.watch(disktest.OpOpen)
		again := killed.open()
		if _, got := next(t, again, consumer(t, again)); got != payload(0) {
			t.Fatalf("got %.20q, want the first item", got)
		}
		// The active segment, the sealed one before it, the first for the item, the offset file
		// (also for its identity and its head), and one more that the background opens ahead or
		// seals.
		if got := opened.since(); len(got) > 7 {
			t.Errorf("after a %s: got %d files opened, want at most 7: %q", how, len(got), got)
		}
	}
}

func TestTheFirstTakeAfterASyncIsWrittenAndTheOthersStored(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 20)
	var n atomic.Int64
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpWrite && strings.HasSuffix(name, ".off") {
			n.Add(1)
		}
		return nil
	})
	for round := range 3 {
		for range 6 {
			takeOne(t, l, c)
		}
		if n, want := n.Load(), int64(round); n != want {
			t.Errorf("got %d of %d heads written, want %d", n, 6*(round+1), want)
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	m.Fail(nil)
	l = memory{m.Clone(), t}.open() // a kill
	if got := drain(t, l, consumer(t, l)); len(got) != 2 {
		t.Errorf("got %d items, want the 2 of 20 that were not taken", len(got))
	}
}

func TestATakeThatCannotBeWrittenIsStored(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 3)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	takeOne(t, l, c)
	m.Fail(nil)
	l = memory{m.Clone(), t}.open() // a kill
	if got := drain(t, l, consumer(t, l)); len(got) != 2 {
		t.Errorf("got %d items, want the 2 of 3 that were not taken", len(got))
	}
}

func takeOne(t *testing.T, l *wal.Log, c *wal.Consumer) {
	t.Helper()
	p, _ := next(t, l, c)
	if err := c.Take(p); err != nil {
		t.Fatal(err)
	}
}
