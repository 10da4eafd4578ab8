package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// memory is a log's directory on a disk that tests can break.
type memory struct {
	*disktest.FS
	t testing.TB
}

func newMemory(t testing.TB) memory {
	m := memory{disktest.New(), t}
	if err := errors.Join(m.Mkdir("/data"), m.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m memory) open() *wal.Log {
	m.t.Helper()
	return open(m.t, "/data/q", options(m.FS))
}

// files returns the names in the log's directory that end so.
func (m memory) files(suffix string) (names []string) {
	for _, n := range m.Names("/data/q") {
		if strings.HasSuffix(n, suffix) {
			names = append(names, n)
		}
	}
	return names
}

// sizes are the files in the log's directory with their bytes.
func (m memory) sizes() (sizes []string) {
	for _, n := range m.Names("/data/q") {
		f, err := m.OpenRead("/data/q/" + n)
		if err != nil {
			continue // gone by now
		}
		size, err := f.Size()
		sizes = append(sizes, fmt.Sprint(n, ": ", size, " ", err))
		f.Close()
	}
	return sizes
}

func fill(t testing.TB, l *wal.Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		put(t, l, payload(i))
	}
}

// drain takes everything and returns the payloads.
func drain(t testing.TB, l *wal.Log, c *wal.Consumer) (got []string) {
	t.Helper()
	for {
		p, s := next(t, l, c)
		if s == "" {
			return got
		}
		got = append(got, s)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADamagedByteCostsOneItemAndNoOther(t *testing.T) {
	for _, where := range []string{"a sealed segment", "the active segment"} {
		t.Run(where, func(t *testing.T) {
			m := newMemory(t)
			l := m.open()
			consumer(t, l)
			const n = 3000
			fill(t, l, 0, n)
			settle(l)
			l.Close()
			segs := m.files(".seg")
			name := segs[0]
			if where == "the active segment" {
				name = segs[len(segs)-1]
			}
			whole, err := m.ReadFile(path.Join("/data/q", name))
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(whole[1024+2000:], []byte("item ")) + 1024 + 2000
			victim := string(whole[at : at+len(payload(0))])
			if err := m.Corrupt(path.Join("/data/q", name), int64(at+3), 0x18); err != nil {
				t.Fatal(err)
			}

			l = m.open()
			c := consumer(t, l)
			got := drain(t, l, c)
			want := 0
			for i := range n {
				if payload(i) == victim {
					continue
				}
				if want >= len(got) || got[want] != payload(i) {
					t.Fatalf("%s: got another item in its place, or none", payload(i))
				}
				want++
			}
			if len(got) != n-1 {
				t.Fatalf("got %d items, want %d", len(got), n-1)
			}
			if s := l.Stats(); s.Damaged != 1 {
				t.Fatalf("got %d damaged records, want 1", s.Damaged)
			}
			settle(l)
			if aside := m.Names("/data/q/.quarantine/q"); len(aside) != 1 {
				t.Fatalf("got %v set aside, want one", aside)
			}
		})
	}
}

func TestADiskThatGoesBadIsCountedAndDoesNotFillTheLog(t *testing.T) {
	m := newMemory(t)
	var log bytes.Buffer
	var lost uint64
	o := options(m.FS)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	o.Lost = func(n uint64) { lost += n }
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	const n, bad = 1000, 100
	for i := range n {
		put(t, l, payload(i))
	}
	f, err := m.FS.Open("/data/q/00000000000000000001.seg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range bad {
		at := segment.HeaderSize + int64(i*n/bad)*segment.RecordSize(len(payload(0)))
		if _, err := f.WriteAt(bytes.Repeat([]byte{0x55}, 24), at); err != nil {
			t.Fatal(err)
		}
	}
	if got := drain(t, l, c); len(got) != n-bad {
		t.Errorf("got %d items, want %d", len(got), n-bad)
	}
	settle(l)
	if s := l.Stats(); s.Damaged != bad || lost != bad {
		t.Errorf("got %d damaged and told of %d, want %d", s.Damaged, lost, bad)
	}
	lines := strings.Count(log.String(), "\n")
	if lines != 16 || !strings.Contains(log.String(), "more=") {
		t.Errorf("got %d lines, want 16, and that there are more:\n%s", lines, &log)
	}
}

func TestAMissingSegmentCostsItsItemsAndNoOther(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	const n = 4000
	fill(t, l, 0, n)
	settle(l)
	l.Close()
	segs := m.files(".seg")
	if err := m.Remove(path.Join("/data/q", segs[1])); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	got := drain(t, l, consumer(t, l))
	var first, afterIt int
	fmt.Sscanf(segs[1], "%d", &first)
	fmt.Sscanf(segs[2], "%d", &afterIt)
	if len(got) != n-(afterIt-first) || got[first-2] != payload(first-2) ||
		got[first-1] != payload(afterIt-1) {
		t.Fatalf("got %d items, want all but %d to %d", len(got), first, afterIt-1)
	}
}

func TestAFullDiskRefusesItemsAndRecoversByItself(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 10)
	m.SetCapacity(m.Used() + 300<<10)
	stored := 10
	fillUp := func() error {
		for ; ; stored++ {
			if _, err := l.Append(bytes.Repeat([]byte("x"), 1000),
				wal.Meta{Flags: 7, Expires: 99}); err != nil {
				return err
			}
		}
	}
	if err := fillUp(); !errors.Is(err, wal.ErrFull) {
		t.Fatalf("got %v from an append to a full disk, want ErrFull", err)
	}
	if _, err := l.BeginLarge(100_000, wal.Meta{}); !errors.Is(err, wal.ErrFull) {
		t.Fatalf("got %v for a large item on a full disk, want ErrFull", err)
	}
	for i := range stored { // reads and acknowledgements go on
		p, got := next(t, l, c)
		if got == "" {
			t.Fatalf("item %d of %d: got none", i, stored)
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	settle(l)
	for i := range 50 {
		if _, err := l.Append([]byte(payload(i)), wal.Meta{}); err != nil {
			t.Fatalf("got %v for item %d after all were taken", err, i)
		}
	}
	if v := m.Violations(); len(v) > 0 {
		t.Fatalf("got stores without blocks: %v", v)
	}
}

func TestAFailedSyncIsFinal(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 3)
	m.Fail(func(op disktest.Op, name string, n int) error {
		if op == disktest.OpSync {
			return syscall.EIO
		}
		return nil
	})
	if err := l.Sync(); !errors.Is(err, wal.ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("a failed sync: got %v, want ErrFailed and EIO", err)
	}
	m.Fail(nil)
	if _, err := l.Append([]byte("x"), wal.Meta{}); !errors.Is(err, wal.ErrFailed) {
		t.Fatalf("an append after a failed sync: got %v, want ErrFailed", err)
	}
	if err := l.Sync(); !errors.Is(err, wal.ErrFailed) {
		t.Fatalf("a second sync: got %v, want ErrFailed", err)
	}
	if got := drain(t, l, c); len(got) != 3 { // what is there can be read
		t.Fatalf("got %d items, want 3", len(got))
	}
}

func TestEveryCallToTheDiskMayFail(t *testing.T) {
	const items = 900 // some segments
	work := func(m memory, hook func(disktest.Op, string, int) error) (stored []string,
		l *wal.Log) {
		m.FS.Fail(hook)
		defer m.FS.Fail(nil)
		l, err := wal.Open("/data/q", options(m.FS))
		if err != nil {
			return nil, nil
		}
		c, err := l.Consumer("", wal.Oldest)
		if err != nil {
			return nil, l
		}
		for i := range items {
			body := payload(i) + strings.Repeat(".", i%500)
			if _, err := l.Append([]byte(body), wal.Meta{Flags: 7, Expires: 99}); err == nil {
				stored = append(stored, body)
			}
			if i%100 == 99 {
				upload(l, bytes.Repeat([]byte(payload(i)), 1000))
				l.Sync()
			}
			if i%3 == 0 {
				if p, _, ok, err := c.Next(); ok && err == nil && p.Large() {
					c.Take(p)
				}
			}
		}
		settle(l)
		return stored, l
	}
	var asked atomic.Int64
	_, l := work(newMemory(t), func(disktest.Op, string, int) error { asked.Add(1); return nil })
	l.Close()
	calls := int(asked.Load())
	step := max(1, calls/60)
	if testing.Short() {
		step = max(1, calls/10)
	}
	for fail := 1; fail <= calls; fail += step {
		for _, reason := range []error{syscall.EIO, syscall.ENOSPC} {
			m := newMemory(t)
			stored, l := work(m, func(_ disktest.Op, _ string, n int) error {
				if n == fail {
					return reason
				}
				return nil
			})
			if l != nil {
				l.Close()
			}
			if v := m.Violations(); len(v) > 0 {
				t.Fatalf("call %d fails with %v: stores without blocks: %v", fail, reason, v)
			}
			l = m.open()
			c := consumer(t, l)
			var got []string
			for {
				p, _, ok, err := c.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if p.Large() {
					continue
				}
				b, _, err := l.Read(p, nil)
				if err != nil {
					t.Fatalf("call %d fails with %v: %v", fail, reason, err)
				}
				got = append(got, string(b))
			}
			if strings.Join(got, "\n") != strings.Join(stored, "\n") {
				t.Fatalf("call %d fails with %v: want the %d items that were stored, got %d",
					fail, reason, len(stored), len(got))
			}
			l.Close()
		}
	}
}

func TestConcurrentSyncsShareOne(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	const callers = 100
	gate := make(chan struct{})
	var once sync.Once
	m.Fail(func(op disktest.Op, name string, n int) error {
		if op == disktest.OpSync {
			once.Do(func() { <-gate }) // the first sync is under way until all others wait
		}
		return nil
	})
	var done sync.WaitGroup
	asked := make(chan struct{}, callers)
	for i := range callers {
		put(t, l, payload(i))
		done.Add(1)
		l.SyncThen(func(err error) {
			if err != nil {
				t.Error(err)
			}
			done.Done()
		})
		asked <- struct{}{}
	}
	close(gate)
	done.Wait()
	if s := l.Stats().Syncs; s < 1 || s > 3 {
		t.Fatalf("%d callers: got %d syncs, want 1 to 3", callers, s)
	}
}

func TestEachConsumerGetsEverythingAndSpaceIsFreedByTheLast(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	own := consumer(t, l)
	if _, err := l.Consumer("audit", wal.Newest); err != nil {
		t.Fatal(err)
	}
	const n = 3000
	fill(t, l, 0, n)
	if got := drain(t, l, own); len(got) != n {
		t.Fatalf("own consumer: got %d items, want all", len(got))
	}
	settle(l)
	if segs := m.files(".seg"); len(segs) < 3 {
		t.Fatalf("got %v, want the segments that a consumer needs", segs)
	}
	l.Close()
	l = m.open()
	audit, err := l.Consumer("audit", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, l, audit); len(got) != n || got[n-1] != payload(n-1) {
		t.Fatalf("second consumer: got %d items, want all", len(got))
	}
	settle(l)
	if segs := m.files(".seg"); len(segs) != 1 {
		t.Fatalf("got %v, want one segment once all is taken", segs)
	}
}

func TestSkipToEndTakesEverythingAndDeletesIt(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 3000)
	if _, err := upload(l, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	open, _ := next(t, l, c)
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	if !c.Taken(open) {
		t.Fatal("got an item that is not taken, want SkipToEnd to take what Next has returned")
	}
	settle(l)
	if segs, items := m.files(".seg"), m.files(".item"); len(segs) != 1 || len(items) != 0 {
		t.Fatalf("got %v and %v after SkipToEnd, want one segment and no body", segs, items)
	}
	put(t, l, payload(1))
	if got := drain(t, l, c); len(got) != 1 {
		t.Fatalf("after SkipToEnd: got %v, want the one item", got)
	}
}

func TestALargeItemStreamsThroughAFileOfItsOwn(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	want := body("000001", 300_000)
	put(t, l, "before")
	if _, err := upload(l, want); err != nil {
		t.Fatal(err)
	}
	put(t, l, "after")
	if items, size := c.Pending(); items != 3 || size != 300_011 {
		t.Fatalf("got %d items, %d bytes, want 3 and 300011", items, size)
	}
	l.Close()
	l = m.open()
	c = consumer(t, l)
	if items, size := c.Pending(); items != 3 || size != 300_011 {
		t.Fatalf("after a restart: got %d items, %d bytes", items, size)
	}
	if p, got := next(t, l, c); got != "before" || c.Take(p) != nil {
		t.Fatalf("got %q first", got)
	}
	p, _, _, _ := c.Next()
	if !p.Large() || p.Size != int64(len(want)) {
		t.Fatalf("got %+v second, want the large item", p)
	}
	r, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	r.Close()
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	if err := c.Take(p); err != nil {
		t.Fatal(err)
	}
	settle(l)
	if left := m.files(".item"); len(left) != 0 {
		t.Fatalf("got %v, want no body once its item is taken", left)
	}
	if _, got := next(t, l, c); got != "after" {
		t.Fatalf("got %q last", got)
	}
}

func TestADamagedBodyIsNeverDelivered(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	if _, err := upload(l, make([]byte, 200_000)); err != nil {
		t.Fatal(err)
	}
	if err := m.Corrupt("/data/q/"+m.files(".item")[0], 150_000, 3); err != nil {
		t.Fatal(err)
	}
	p, _, _, _ := c.Next()
	r, err := l.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if !errors.Is(err, wal.ErrDamaged) || n != 2*64<<10 {
		t.Fatalf("got %d bytes, then %v, want two chunks and ErrDamaged", n, err)
	}
	if err := c.Take(p); err != nil { // given up
		t.Fatal(err)
	}
	settle(l)
	if aside := m.Names("/data/q/.quarantine/q"); len(aside) != 1 || len(m.files(".item")) != 0 {
		t.Fatalf("got %v set aside and %v left, want one and none", aside, m.files(".item"))
	}
}

func TestABodyThatEndsEarlyIsFoundOutBeforeItsFirstByte(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	if _, err := upload(l, make([]byte, 200_000)); err != nil {
		t.Fatal(err)
	}
	f, err := m.Open("/data/q/" + m.files(".item")[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size - 1); err != nil {
		t.Fatal(err)
	}
	p, _, _, _ := c.Next()
	if _, err := l.Open(p); !errors.Is(err, wal.ErrDamaged) {
		t.Fatalf("got %v, want ErrDamaged", err)
	}
	if err := c.Take(p); err != nil { // given up
		t.Fatal(err)
	}
	settle(l)
	if aside := m.Names("/data/q/.quarantine/q"); len(aside) != 1 {
		t.Fatalf("got %v set aside, want one", aside)
	}
}

func TestARecordThatRotsAfterItWasHandedOutIsSetAside(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	put(t, l, payload(1))
	p, _, _, _ := c.Next()
	if err := m.Corrupt("/data/q/"+m.files(".seg")[0], 1024+45, 3); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Read(p, nil); !errors.Is(err, wal.ErrDamaged) {
		t.Fatalf("got %v, want ErrDamaged", err)
	}
	settle(l)
	if aside := m.Names("/data/q/.quarantine/q"); len(aside) != 1 {
		t.Fatalf("got %v set aside, want one", aside)
	}
}

func TestAnUploadThatBreaksOffLeavesNothing(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	put(t, l, "x")
	w, err := l.BeginLarge(100_000, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, 70_000))
	if _, err := w.Commit(); err == nil {
		t.Fatal("got no error from Commit of half an item")
	}
	if _, err := l.BeginLarge(100_000, wal.Meta{}); err != nil { // and one that a crash breaks off
		t.Fatal(err)
	}
	image := memory{m.Clone(), t}
	l = image.open()
	c := consumer(t, l)
	if left := image.files(".part"); len(left) != 0 {
		t.Fatalf("got %v, want no upload left", left)
	}
	if got := drain(t, l, c); len(got) != 1 {
		t.Fatalf("got %v, want one item", got)
	}
}

func TestAnEmptyIdleLogCostsTwoBlocks(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 1000)
	drain(t, l, c)
	l.Close()
	if used := m.Used(); used > 8<<10 {
		t.Fatalf("got %d bytes in use by an empty log, want at most 8 KiB: %v",
			used, m.Names("/data/q"))
	}
}

func TestNothingIsWrittenBeforeTheFirstItem(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	if _, got := next(t, l, c); got != "" {
		t.Fatal("got an item from an empty log")
	}
	l.Close()
	if names := m.Names("/data/q"); len(names) != 0 {
		t.Fatalf("got the files %v, want none", names)
	}
}

func TestOutOfOrderTakesStayTakenThroughRewritesAndKills(t *testing.T) {
	m := newMemory(t)
	reopen := func() *wal.Log {
		return open(t, "/data/q",
			wal.WithOffsetCapacity(options(m.FS), 64<<10))
	}
	l := reopen()
	c := consumer(t, l)
	const n, kills = 6000, 3
	fill(t, l, 0, n)
	rewrites := uint64(0)
	for i := range n { // every item but each hundredth: the head stays at the first
		p, _, ok, err := c.Next()
		if err != nil || !ok {
			t.Fatalf("item %d: got ok %v and %v", i, ok, err)
		}
		if i%100 == 0 {
			continue
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
		switch {
		case i%(n/kills) == n/kills-1:
			rewrites += l.Stats().Rewrites
			m = memory{m.Clone(), t}
			l = reopen()
			c = consumer(t, l)
			for j := range i/100 + 1 { // what was handed out and not taken comes again
				if _, got := next(t, l, c); got != payload(j*100) {
					t.Fatalf("after %d takes and a kill, item %d: got %q, want %q",
						i, j, got, payload(j*100))
				}
			}
		case i%500 == 1: // before the file is full
			settle(l)
		}
	}
	if rewrites == 0 {
		t.Fatal("the offset file was never rewritten: this test shows nothing")
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	l := openRunning(t, t.TempDir(), wal.Options{SegmentSize: wal.DefaultSegmentSize})
	c := consumer(t, l)
	body, buf := make([]byte, 64), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := l.Append(body, wal.Meta{Enqueued: 1}); err != nil {
			t.Fatal(err)
		}
		p, _, _, _ := c.Next()
		buf, _, _ = l.Read(p, buf[:0])
		c.Take(p)
	}); n != 0 {
		t.Fatalf("got %v allocations for an item, want none", n)
	}
}

// Compaction may delete a segment before the cleanup that would have set its damage aside.
func TestDamageIsSetAsideBeforeCompactionDeletesItsSegment(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	fill(t, l, 0, 6000)
	settle(l)
	l.Close()
	name := path.Join("/data/q", m.files(".seg")[2])
	if err := m.Corrupt(name, 2000, 0x18); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	c := consumer(t, l)
	first, _ := next(t, l, c) // stays open, so that the segment does not stand at the front
	drain(t, l, c)
	wal.Compact(l)
	if _, err := m.ReadFile(name); err == nil {
		t.Fatal("got the segment, want it deleted")
	}
	settle(l)
	aside := m.Names("/data/q/.quarantine/q")
	if len(aside) != 1 {
		t.Fatalf("got %q set aside, want one copy", aside)
	}
	if b, err := m.ReadFile("/data/q/.quarantine/q/" + aside[0]); err != nil || len(b) == 0 {
		t.Errorf("got %d bytes, %v, want the damaged ones", len(b), err)
	}
	if err := c.Take(first); err != nil {
		t.Fatal(err)
	}
}
