package torture

// The registry of queues on a disk in memory. Every call to the disk fails in turn for one of two
// queues. Power is cut while queues are created and deleted.

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

func registry(fs *disktest.FS) (*queue.Registry, error) {
	return queue.OpenRegistry("/data", queue.Options{Log: wal.Options{
		FS: fs, SegmentSize: wal.MinSegmentSize, InlineMax: 4 << 10, SyncEvery: wal.SyncNever,
		Logger: slog.New(slog.DiscardHandler),
	}})
}

func named(t *testing.T, r *queue.Registry, name string) *queue.Queue {
	t.Helper()
	q, err := r.Queue([]byte(name))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func syncQueue(q *queue.Queue) error {
	done := make(chan error, 1)
	q.SyncThen(func(err error) { done <- err })
	return <-done
}

// worked is the result of a workload on one queue.
type worked struct {
	stored  []string
	synced  int // how many of stored are synced
	taken   map[string]bool
	refused error // the last refusal
}

// work puts, takes and syncs items.
func (w *worked) work(q *queue.Queue, from, to int) {
	for i := from; i < to; i++ {
		text := fmt.Sprintf("%s %06d %s", q.Name(), i, strings.Repeat("x", i*37%900))
		err := q.Put([]byte(text), wal.Meta{})
		if i%60 == 30 {
			text = fmt.Sprintf("%s %06d %s", q.Name(), i, strings.Repeat("L", 70_000))
			err = errors.Join(err, upload(q, text))
			if err == nil { // the small item before it was stored too
				w.stored = append(w.stored,
					fmt.Sprintf("%s %06d %s", q.Name(), i, strings.Repeat("x", i*37%900)))
			}
		}
		if err != nil {
			w.refused = err
		} else {
			w.stored = append(w.stored, text)
		}
		if i%25 == 24 {
			if n := len(w.stored); syncQueue(q) == nil {
				w.synced = n
			}
		}
		if i%2 == 0 {
			w.take(q)
		}
	}
}

func upload(q *queue.Queue, text string) error {
	u, err := q.BeginLarge(int64(len(text)), wal.Meta{})
	if err != nil {
		return err
	}
	if _, err := u.Write([]byte(text)); err != nil {
		u.Abort()
		return err
	}
	return u.Commit()
}

func (w *worked) take(q *queue.Queue) {
	if it, ok, err := q.Fetch(); err == nil && ok {
		text, err := read(q, it)
		if err != nil {
			q.Return(it)
			return
		}
		w.taken[text] = true
		q.Confirm(it)
	}
}

func read(q *queue.Queue, it queue.Item) (string, error) {
	if !it.Large() {
		b, err := q.Read(it, nil)
		return string(b), err
	}
	r, err := q.Open(it)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b := make([]byte, it.Size)
	for n := 0; n < len(b); {
		k, err := r.Read(b[n:])
		if err != nil {
			return "", err
		}
		n += k
	}
	return string(b), nil
}

// holds compares a queue's items with what was promised: the first n stored, in order, except those
// taken.
func (w *worked) holds(q *queue.Queue, n int) error {
	promised := map[string]bool{}
	for i, text := range w.stored {
		if i < n && !w.taken[text] {
			promised[text] = true
		}
	}
	place := map[string]int{}
	for i, text := range w.stored {
		place[text] = i + 1
	}
	last := 0
	for {
		it, ok, err := q.Fetch()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		text, err := read(q, it)
		if errors.Is(err, wal.ErrDamaged) { // a body that was never synced
			q.Drop(it)
			continue
		}
		if err != nil {
			return err
		}
		if !strings.HasPrefix(text, q.Name()+" ") {
			return fmt.Errorf("wrong bytes: %.40q", text)
		}
		if at := place[text]; at > 0 && at <= last { // an item whose put failed has no place
			return fmt.Errorf("%.20q comes after number %d", text, last)
		} else if at > 0 {
			last = at
		}
		delete(promised, text)
		if err := q.Confirm(it); err != nil {
			return err
		}
	}
	for text := range promised {
		return fmt.Errorf("%d items are lost, as %.20q", len(promised), text)
	}
	return nil
}

var faultOps = []disktest.Op{
	disktest.OpCreate, disktest.OpOpen, disktest.OpReadDir, disktest.OpMkdir, disktest.OpRename,
	disktest.OpRemove, disktest.OpSyncDir,
	disktest.OpRead, disktest.OpWrite, disktest.OpSize, disktest.OpTruncate, disktest.OpAllocate,
	disktest.OpSync, disktest.OpMap,
}

// runFaulty works on two queues. For one of them, span calls of a kind fail, starting with number
// from. It returns the number of calls.
func runFaulty(t *testing.T, op disktest.Op, from, span int64, reason error) (calls int64) {
	fs := disktest.New()
	var n atomic.Int64
	fs.Fail(func(o disktest.Op, name string, _ int) error {
		if o == op && strings.Contains(name, "/bad") {
			if k := n.Add(1); k >= from && k < from+span {
				return reason
			}
		}
		return nil
	})
	what := fmt.Sprintf("%s number %d to %d fail with %v", op, from, from+span-1, reason)
	r, err := registry(fs)
	if err != nil {
		t.Fatalf("%s: got %v, want a registry", what, err)
	}
	defer func() { r.Close() }()
	bad, good := named(t, r, "bad"), named(t, r, "good")
	w, g := &worked{taken: map[string]bool{}}, &worked{taken: map[string]bool{}}
	for i := 0; i < 200; i += 50 {
		w.work(bad, i, i+50)
		g.work(good, i, i+50)
	}
	full := errors.Is(reason, syscall.ENOSPC) || errors.Is(reason, syscall.EDQUOT)
	// The reserve for compaction may be in use. Then the disk is full for all.
	lent := full && errors.Is(g.refused, wal.ErrFull)
	if g.refused != nil && !lent || good.Stats().Failed != "" {
		t.Errorf("%s: another queue is hit: %v, %q", what, g.refused, good.Stats().Failed)
	}
	failed := bad.Stats().Failed
	if errors.Is(w.refused, wal.ErrFailed) && failed == "" {
		t.Errorf("%s: the queue refuses, %v, and its stats do not tell", what, w.refused)
	}
	if full && op == disktest.OpAllocate && failed != "" {
		t.Errorf("%s: a full disk is no failure: %s", what, failed)
	}
	fs.Fail(nil)
	if failed == "" { // the fault is over
		err := bad.Put([]byte("bad after"), wal.Meta{})
		late := errors.Is(err, wal.ErrFailed) && bad.Stats().Failed != "" // the background met it
		if err != nil && !late {
			t.Errorf("%s: afterwards a put is refused: %v", what, err)
		}
	}
	if v := fs.Violations(); len(v) > 0 {
		t.Errorf("%s: stores without blocks: %v", what, v)
	}
	for image, promised := range map[*disktest.FS]int{fs.Clone(): len(w.stored),
		fs.Crash(rand.New(rand.NewPCG(uint64(from), 7))): w.synced} {
		after, err := registry(image)
		if err != nil {
			t.Fatalf("%s: got %v, want a registry", what, err)
		}
		if err := w.holds(named(t, after, "bad"), promised); err != nil {
			t.Errorf("%s: after a restart: %v (failed: %q)", what, err, failed)
		}
		after.Close()
	}
	return n.Load()
}

// inTurn chooses calls to fail: every call in the long form. A call fails alone, or with all after
// it.
func inTurn(t *testing.T, calls int64, fail func(n, span int64)) {
	step := max(1, calls/int64(*long))
	for n := 1 + rand.Int64N(step); n <= calls && !t.Failed(); n += step {
		if rand.IntN(2) == 0 || *long > 1 {
			fail(n, 1)
		}
		if rand.IntN(2) == 0 || *long > 1 {
			fail(n, 1<<40)
		}
	}
}

func TestEveryFailureOfTheDiskStaysWithItsQueueAndCostsNothingStored(t *testing.T) {
	for _, op := range faultOps {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			if testing.Short() && (op == disktest.OpSize || op == disktest.OpMap ||
				op == disktest.OpReadDir || op == disktest.OpMkdir) {
				t.Skip("in the longer forms")
			}
			calls := runFaulty(t, op, -1, 0, syscall.EIO)
			inTurn(t, calls, func(n, span int64) {
				reason := syscall.EIO
				if span > 1 {
					reason = syscall.EROFS
				}
				runFaulty(t, op, n, span, reason)
			})
		})
	}
}

func TestEveryAllocationMayFindTheDiskFull(t *testing.T) {
	for _, op := range []disktest.Op{disktest.OpAllocate, disktest.OpCreate, disktest.OpWrite,
		disktest.OpRename, disktest.OpMkdir} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			calls := runFaulty(t, op, -1, 0, syscall.ENOSPC)
			inTurn(t, calls, func(n, span int64) {
				reason := syscall.ENOSPC
				if span > 1 {
					reason = syscall.EDQUOT
				}
				runFaulty(t, op, n, span, reason)
			})
		})
	}
}

// Queues are created, deleted and created again until power is cut.
func TestQueuesThatComeAndGoSurvivePowerCuts(t *testing.T) {
	n := 3 * *long
	if testing.Short() {
		n = 1
	}
	for seed := range n {
		comeAndGo(t, rand.New(rand.NewPCG(uint64(seed), 1)))
	}
}

func comeAndGo(t *testing.T, rng *rand.Rand) {
	fs := disktest.New()
	var mu sync.Mutex // guards the model
	type life struct {
		*worked
		count, deleting, deleted int
	}
	lives := map[string]*life{}
	for generation := range 3 {
		r, err := registry(fs)
		if err != nil {
			t.Fatal(err)
		}
		var image *disktest.FS
		atCut := map[string]life{}
		in := 20 + rng.IntN(300)
		luck := rand.New(rand.NewPCG(rng.Uint64(), 2))
		var hook sync.Mutex
		cut := func() {
			mu.Lock()
			defer mu.Unlock()
			for name, l := range lives {
				taken := map[string]bool{}
				for k := range l.taken {
					taken[k] = true
				}
				atCut[name] = life{&worked{stored: l.stored[:len(l.stored):len(l.stored)],
					synced: l.synced, taken: taken}, l.count, l.deleting, l.deleted}
			}
			image = fs.Crash(luck)
		}
		fs.Fail(func(disktest.Op, string, int) error {
			hook.Lock()
			defer hook.Unlock()
			if in--; in == 0 {
				cut()
			}
			return nil
		})
		isCut := func() bool { mu.Lock(); defer mu.Unlock(); return image != nil }
		for step := 0; step < 600 && !isCut(); step++ {
			name := fmt.Sprintf("q%d", rng.IntN(4))
			q := named(t, r, name)
			mu.Lock()
			l := lives[name]
			if l == nil {
				l = &life{worked: &worked{taken: map[string]bool{}}}
				lives[name] = l
			}
			mu.Unlock()
			switch k := rng.IntN(20); {
			case k == 0:
				mu.Lock()
				l.deleting = len(l.stored)
				mu.Unlock()
				if err := q.Delete(); err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				l.deleted = l.deleting
				mu.Unlock()
			case k < 4:
				mu.Lock()
				n := len(l.stored)
				mu.Unlock()
				if err := syncQueue(q); err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				l.synced = n
				mu.Unlock()
			case k < 8:
				it, ok, err := q.Fetch()
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					text, err := read(q, it)
					if err != nil {
						t.Fatal(err)
					}
					mu.Lock()
					l.taken[text] = true
					mu.Unlock()
					q.Confirm(it)
				}
			default:
				l.count++
				text := fmt.Sprintf("%s %d %06d %s", name, generation, l.count,
					strings.Repeat("y", rng.IntN(2000)))
				if err := q.Put([]byte(text), wal.Meta{}); err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				l.stored = append(l.stored, text)
				mu.Unlock()
			}
		}
		fs.Fail(nil)
		if !isCut() {
			hook.Lock()
			cut()
			hook.Unlock()
		}
		r.Close()
		fs = image
		after, err := registry(fs)
		if err != nil {
			t.Fatal(err)
		}
		for name, l := range atCut {
			for _, text := range l.stored[:l.deleting] { // may be gone
				l.taken[text] = true
			}
			q := named(t, after, name)
			dead := map[string]bool{}
			for _, text := range l.stored[:l.deleted] {
				dead[text] = true
			}
			if it, ok, err := q.Peek(); err == nil && ok {
				if text, err := read(q, it); err == nil && dead[text] {
					t.Fatalf("%s: %.20q came back after its queue was deleted", name, text)
				}
			}
			if err := l.holds(q, l.synced); err != nil {
				t.Fatalf("%s, generation %d: %v", name, generation, err)
			}
			lives[name] = &life{worked: &worked{taken: map[string]bool{}}, count: l.count + 1000}
		}
		after.Close()
	}
}
