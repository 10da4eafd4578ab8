package wal_test

// What is opened is closed, whatever fails on the way: a log that is tried again and again must not
// use up the descriptors and addresses of the process.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
	"github.com/darner/darner/wal/inspect"
)

// untidy is the disk that a kill left, with all of what recovery puts in order: a spare that was
// started and one that was not, segments that were not sealed, bodies under their uploads' names,
// an upload that broke off, offset files with the rewrites of them, cold segments beside what they
// stand for.
func untidy(t *testing.T) *disktest.FS {
	t.Helper()
	m := newMemory(t)
	o := options(m.FS)
	o.Cold = nil
	l := open(t, "/data/q", wal.WithOffsetCapacity(o, 16<<10))
	own, audit := consumer(t, l), named(t, l, "audit")
	fillWith(t, l, 0, 2500, telemetry)
	rest(l)
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpRename || op == disktest.OpRemove && strings.Contains(name, ".seg") {
			return syscall.ENOSPC // files keep the names that they were written under
		}
		return nil
	})
	fillWith(t, l, 2500, 4500, telemetry)
	rest(l)
	for i := range 4 {
		large(t, l, 100<<10)
		fillWith(t, l, 0, 200+i, telemetry)
	}
	// Every other item, so that the files outgrow their bound.
	for i, c := range []*wal.Consumer{own, audit} {
		for range 2500 {
			p, _, ok, err := c.Next()
			if err != nil || !ok {
				t.Fatalf("got ok %v and %v, want an item", ok, err)
			}
			if p.Seq%2 == uint64(i) {
				c.Take(p)
			}
		}
	}
	settle(l)
	fillWith(t, l, 5500, 7000, telemetry) // segments that nobody seals
	if _, err := l.BeginLarge(100<<10, wal.Meta{}); err != nil {
		t.Fatal(err)
	}
	image := m.Clone()
	var kinds []string
	for _, suffix := range []string{".seg", ".spare", ".cold", ".part", ".off", ".off.new"} {
		for _, name := range image.Names("/data/q") {
			if strings.HasSuffix(name, suffix) {
				kinds = append(kinds, suffix)
				break
			}
		}
	}
	if len(kinds) != 6 {
		t.Fatalf("got only the kinds %v: %v", kinds, image.Names("/data/q"))
	}
	return image
}

func named(t testing.TB, l *wal.Log, name string) *wal.Consumer {
	t.Helper()
	c, err := l.Consumer(name, wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func large(t testing.TB, l *wal.Log, size int64) {
	t.Helper()
	w, err := l.BeginLarge(size, wal.Meta{Enqueued: 1})
	if err == nil {
		_, err = w.Write(make([]byte, size))
	}
	if err == nil {
		_, err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// failures are the ways in which a call fails: for ever, for now, and for lack of space.
var failures = []error{syscall.EACCES, syscall.EIO, syscall.EMFILE, syscall.ENOSPC}

// eachFailure runs fn on a copy of image for every call that it makes, with that call failing, or
// with it and all that follow, and checks that all was given back each time. Calls fail in turn in
// one way and another.
func eachFailure(t *testing.T, image *disktest.FS, fn func(*disktest.FS)) {
	t.Helper()
	step := len(failures)
	if testing.Short() {
		step = 7 * len(failures)
	}
	for _, forGood := range []bool{false, true} {
		for k, failure := range failures {
			for n := 1 + k; ; n += step {
				m := image.Clone()
				what := "none"
				m.Fail(func(op disktest.Op, name string, i int) error {
					if i < n || i > n && !forGood {
						return nil
					}
					if i == n {
						what = fmt.Sprintf("call %d, %s %s", n, op, name)
					}
					return failure
				})
				fn(m)
				m.Fail(nil)
				if files, maps := m.InUse(); files != 0 || maps != 0 {
					t.Errorf("%s (%v, for good: %v): got %d open files and %d maps, want none",
						what, failure, forGood, files, maps)
				}
				if what == "none" {
					break
				}
			}
		}
	}
}

func TestALogThatCannotBeOpenedGivesBackAllItTook(t *testing.T) {
	t.Parallel()
	eachFailure(t, untidy(t), func(m *disktest.FS) {
		if l, err := wal.Open("/data/q", options(m)); err == nil {
			l.Consumer("", wal.Oldest)
			l.Consumer("late", wal.Newest)
			l.Close()
		}
	})
}

func TestALogGivesBackAllItTookWhateverFailsInItsLife(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	l := openCold(m)
	consumer(t, l)
	named(t, l, "audit")
	fillWith(t, l, 0, 1500, telemetry)
	large(t, l, 70<<10)
	settle(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	eachFailure(t, m.FS, func(m *disktest.FS) {
		o := options(m)
		o.Cold = nil
		l, err := wal.Open("/data/q", wal.WithOffsetCapacity(o, 16<<10))
		if err != nil {
			return
		}
		defer l.Close()
		live(l)
	})
}

// live does a bit of everything, and minds no errors.
func live(l *wal.Log) {
	own, err := l.Consumer("", wal.Oldest)
	if err != nil {
		return
	}
	audit, err := l.Consumer("audit", wal.Oldest)
	if err != nil {
		return
	}
	var buf []byte
	for i := range 1600 {
		for k, c := range []*wal.Consumer{own, audit} {
			p, _, ok, err := c.Next()
			switch {
			case err != nil || !ok:
				continue
			case p.Large():
				if r, err := l.Open(p); err == nil {
					io.Copy(io.Discard, r)
					r.Close()
				}
			default:
				buf, _, _ = l.Read(p, buf)
			}
			if i%3 != k {
				c.Take(p)
			}
		}
	}
	for range 500 {
		l.Append([]byte(telemetry(1)), wal.Meta{Enqueued: 1})
	}
	if w, err := l.BeginLarge(70<<10, wal.Meta{Enqueued: 1}); err == nil {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 70<<10)); err != nil {
			w.Abort()
		} else if _, err := w.Commit(); errors.Is(err, wal.ErrBacklog) {
			w.Abort()
		}
	}
	l.Sync()
	wal.PrepareAndCleanup(l) // once: what fails for good is asked for again and again
	wal.Compact(l)
	own.SkipToEnd()
	audit.SkipToEnd()
	wal.PrepareAndCleanup(l)
	l.GiveBack()
}

func TestAnInspectionGivesBackAllItTook(t *testing.T) {
	t.Parallel()
	eachFailure(t, untidy(t), func(m *disktest.FS) {
		in, err := inspect.Open(m, "/data/q")
		if err != nil {
			return
		}
		for f := range in.All() {
			switch f.Kind {
			case inspect.SegmentFile, inspect.SpareFile:
				if v, err := in.OpenSegment(f); err == nil {
					v.Close()
				}
				if f.Cold {
					in.Scrub(f, false)
				}
			case inspect.OffsetFile, inspect.RewriteFile:
				in.ReadOffsets(f)
			case inspect.BodyFile, inspect.PartFile:
				in.CheckBody(f, func(int64) {})
			}
		}
		if r, err := in.PlanRewind("audit", 0, 1); err == nil {
			r.Do()
		}
		if r, err := in.PlanUndo("audit", 1); err == nil {
			r.Do()
		}
	})
}

// Opening, listing and syncing a directory take a descriptor. When there is none what was to be
// done is done later.
func TestAShortageOfDescriptorsIsSurvivedByALog(t *testing.T) {
	t.Parallel()
	for _, forGood := range []bool{false, true} {
		for n, made := 1, true; made; n++ {
			m := newMemory(t)
			o := options(m.FS)
			o.Cold = nil
			l := open(t, "/data/q", wal.WithOffsetCapacity(o, 16<<10))
			consumer(t, l)
			named(t, l, "audit")
			fillWith(t, l, 0, 1500, telemetry)
			var calls atomic.Int64
			m.Fail(func(op disktest.Op, _ string, _ int) error {
				switch op {
				case disktest.OpCreate, disktest.OpOpen, disktest.OpReadDir, disktest.OpSyncDir:
					if k := calls.Add(1); k == int64(n) || k > int64(n) && forGood {
						return syscall.EMFILE
					}
				}
				return nil
			})
			live(l)
			m.Fail(nil)
			made = calls.Load() >= int64(n)
			put(t, l, "after")
			if err := l.Sync(); err != nil {
				t.Fatalf("call %d, for good: %v: %v", n, forGood, err)
			}
			if err := l.Close(); err != nil {
				t.Fatalf("call %d, for good: %v: %v", n, forGood, err)
			}
			l = m.open()
			if got := drain(t, l, consumer(t, l)); len(got) != 1 || got[0] != "after" {
				t.Fatalf("call %d, for good: %v: got %d items, want one; %v",
					n, forGood, len(got), l.Stats())
			}
			l.Close()
		}
	}
}

func TestBodiesThatWaitForASyncHoldABoundedNumberOfFilesOpen(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.Cold = nil
	o.Clock = clocktest.New(time.UnixMilli(1_700_000_000_000))
	o.Background = heldBackground(t, o.Clock)
	const bound = 5
	o.Background.BoundBodies(bound)
	logs := []*wal.Log{open(t, "/data/a", o), open(t, "/data/b", o), open(t, "/data/c", o)}
	for _, l := range logs {
		large(t, l, 100<<10) // with its segment, offset file and so on
	}
	before, _ := m.InUse()
	for range 10 {
		for _, l := range logs {
			large(t, l, 100<<10)
		}
	}
	if after, _ := m.InUse(); after-before != bound-len(logs) {
		t.Errorf("got %d more files open, want %d", after-before, bound-len(logs))
	}
	for round := range 3 { // what a sync closes makes room
		for _, l := range logs {
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		synced, _ := m.InUse()
		for range 10 {
			large(t, logs[0], 100<<10)
		}
		if after, _ := m.InUse(); after-synced != bound {
			t.Errorf("round %d: got %d more files open, want %d", round, after-synced, bound)
		}
	}
}
