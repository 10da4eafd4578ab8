package wal_test

// What a crash leaves is no damage: darner-fsck finds notes at most, whatever call the crash came
// before.

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

var checks = flag.Int("checks", 12, "random workloads whose crashes are examined by darner-fsck")

// examine runs darner-fsck on a log's directory of an image. Its error tells of what is damage, or
// trouble.
func examine(fsys *disktest.FS, dir string) (fsck.Result, error) {
	return examineBut(fsys, dir, func(fsck.Finding) bool { return false })
}

// examineBut is examine that excuses some findings.
func examineBut(
	fsys *disktest.FS, dir string, excused func(fsck.Finding) bool,
) (fsck.Result, error) {
	var found []string
	some := false
	res, err := fsck.Run(dir, fsck.Options{FS: fsys, Finding: func(f fsck.Finding) {
		switch {
		case f.Severity == fsck.Note:
		case excused(f):
			some = true
		default:
			found = append(found, fmt.Sprintf("%s %s %s %d-%d: %s",
				f.Severity, f.Kind, f.File, f.From, f.To, f.What))
		}
	}})
	// It was not made yet, or is empty.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, datadir.ErrNotData) {
		return res, nil
	}
	if err == nil && res.Exit() != fsck.ExitClean && (len(found) > 0 || !some) {
		err = fmt.Errorf("darner-fsck ends with %d:\n%s", res.Exit(), strings.Join(found, "\n"))
	}
	return res, err
}

// life is a workload that comes to all that a log does with its files, with two consumers.
type life struct {
	m    memory
	rng  *rand.Rand
	l    *wal.Log
	cs   [2]*wal.Consumer
	held [2][]wal.Position
	n    int

	storing atomic.Bool // by this goroutine, into maps
}

// store does what stores into maps: an image that another goroutine takes of it meanwhile is of no
// moment.
func (w *life) store(do func() error) error {
	w.storing.Store(true)
	defer w.storing.Store(false)
	return do()
}

func (w *life) open() {
	o := options(w.m.FS)
	o.Cold = nil
	w.l = openRunning(w.m.t, "/data/q", wal.WithOffsetCapacity(o, 24<<10))
	for i, name := range []string{"", "audit"} {
		c, err := w.l.Consumer(name, wal.Oldest)
		if err != nil {
			w.m.t.Fatal(err)
		}
		w.cs[i], w.held[i] = c, nil
	}
}

func (w *life) step() error {
	i := w.rng.IntN(2)
	switch r := w.rng.IntN(100); {
	case r < 85:
		return w.store(func() error { return w.use(i, r) })
	case r < 91:
		return w.l.Sync()
	case r < 94:
		wal.PrepareAndCleanup(w.l)
	case r < 97:
		wal.PrepareAndCleanup(w.l)
		wal.Compact(w.l)
	default:
		if err := w.l.Close(); err != nil {
			return err
		}
		w.open()
	}
	return nil
}

// use appends and takes.
func (w *life) use(i, r int) error {
	switch {
	case r < 40:
		for range 1 + w.rng.IntN(30) {
			w.n++
			b := body(fmt.Sprintf("%06d", w.n), w.rng.IntN(1500))
			if _, err := w.l.Append(b, wal.Meta{}); err != nil {
				return err
			}
		}
	case r < 46:
		w.n++
		_, err := upload(w.l, body(fmt.Sprintf("%06d", w.n), 1000+w.rng.IntN(150_000)))
		return err
	case r < 48: // one that breaks off
		u, err := w.l.BeginLarge(100_000, wal.Meta{})
		if err != nil {
			return err
		}
		if _, err := u.Write(make([]byte, 70_000)); err != nil {
			return err
		}
		return u.Abort()
	case r < 80:
		for range 1 + w.rng.IntN(60) {
			p, _, ok, err := w.cs[i].Next()
			if err != nil || !ok {
				return err
			}
			if w.rng.IntN(5) == 0 {
				w.cs[i].NoteDelivered(p, 1+w.rng.Uint32N(3))
				w.held[i] = append(w.held[i], p)
			} else if err := w.cs[i].Take(p); err != nil {
				return err
			}
		}
	case r < 84:
		for _, p := range w.held[i] {
			if err := w.cs[i].Take(p); err != nil {
				return err
			}
		}
		w.held[i] = nil
	default:
		w.held[i] = nil
		return w.cs[i].SkipToEnd()
	}
	return nil
}

// crash is an image, and what the crash came before.
type crash struct {
	fs    *disktest.FS
	where string
}

// lives runs a workload and crashes at many of its calls.
func lives(t *testing.T, seed uint64) (crashes []crash) {
	m := newMemory(t)
	w := &life{m: m, rng: rand.New(rand.NewPCG(seed, 50))}
	luck := rand.New(rand.NewPCG(seed, 51))
	var mu sync.Mutex
	m.Fail(func(op disktest.Op, name string, _ int) error {
		mu.Lock()
		defer mu.Unlock()
		if luck.IntN(20) > 0 && (op == disktest.OpWrite || op == disktest.OpOpen ||
			op == disktest.OpRead) || luck.IntN(4) > 0 {
			return nil
		}
		where := fmt.Sprintf("seed %d, call %d, %v of %s", seed, len(crashes), op, name)
		crashes = append(crashes, crash{m.Crash(luck), "a power cut: " + where})
		if !w.storing.Load() {
			crashes = append(crashes, crash{m.Clone(), "a kill: " + where})
		}
		return nil
	})
	w.open()
	for range 60 {
		if err := w.step(); err != nil {
			t.Fatal(err)
		}
	}
	w.l.Close()
	m.Fail(nil)
	return crashes
}

func TestACrashLeavesNoDamage(t *testing.T) {
	seeds := *checks
	if testing.Short() {
		seeds = min(seeds, 3)
	}
	for seed := range seeds {
		for _, c := range lives(t, uint64(seed)) {
			if _, err := examine(c.fs, "/data/q"); err != nil {
				t.Errorf("%s: %v", c.where, err)
			}
		}
	}
}

func TestAConsumerWhoseFileIsBlankHasLostNothing(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	fill(t, l, 0, 100)
	drain(t, l, consumer(t, l))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range m.files(".seg") { // all taken, given back on a full disk
		if err := m.Remove("/data/q/" + name); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.WriteFile("/data/q/consumer+late.off", make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	if _, err := examine(m.FS, "/data/q"); err != nil {
		t.Fatal(err)
	}
}

// The server only reads such a segment, and so never completes it, while it does complete later
// ones.
func TestASegmentWhoseHeaderWasLostIsNoDamageForBeingUnsealed(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	fill(t, l, 0, 3)
	l.Close()
	headless := path.Join("/data/q", m.files(".seg")[0])
	for _, copyAt := range []int64{0, 512} {
		if err := m.Corrupt(headless, copyAt+20, 0xff); err != nil {
			t.Fatal(err)
		}
	}
	l = m.open()
	fill(t, l, 3, 3000)
	settle(l)
	l.Close()
	if n := len(m.files(".seg")); n < 3 {
		t.Fatalf("got %d segments: this test shows nothing", n)
	}
	if _, err := examine(m.FS, "/data/q"); err != nil {
		t.Error(err)
	}
}
