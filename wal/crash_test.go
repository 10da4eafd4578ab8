package wal_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

var crashes = flag.Int("crashes", 40, "random workloads that end in a crash")

// TestPowerCutKeepsWhatWasSynced and TestKillKeepsEverything run random workloads on a disk in
// memory, cut them off at a random call to the file system, recover what is left, compare with
// what was promised, and go on from there.
func TestPowerCutKeepsWhatWasSynced(t *testing.T) { crashMany(t, true) }
func TestKillKeepsEverything(t *testing.T)        { crashMany(t, false) }

func crashMany(t *testing.T, power bool) {
	n := *crashes
	if testing.Short() {
		n = min(n, 30)
	}
	for seed := range n {
		w := &world{
			rng: rand.New(rand.NewPCG(uint64(seed), 42)), luck: rand.New(rand.NewPCG(uint64(seed), 43)), power: power,
			fs: disktest.New(), items: map[string]*item{},
		}
		for generation := range 3 {
			if err := w.live(); err != nil {
				t.Fatalf("seed %d, generation %d: %v", seed, generation, err)
			}
		}
	}
}

// item is what the test knows of one item. Each step has a beginning and an end: what was under
// way at the cut may have happened or not.
type item struct {
	id                   string
	seq                  uint64
	appended, synced     bool
	taking, taken        bool // Take was called, has returned
	takeSynced           bool
	large                int
	p                    wal.Position
	durableTake, durable bool // scratch of a sync under way
}

// world is one disk and what was done on it.
type world struct {
	rng   *rand.Rand // for the workload
	luck  *rand.Rand // for the crash image, taken from any goroutine
	power bool
	fs    *disktest.FS

	mu     sync.Mutex // model and cut; never held over a call of the log
	items  map[string]*item
	order  []*item
	count  int
	image  *disktest.FS
	atCut  map[string]item
	cutIn  int
	handed []*item
}

var errCut = errors.New("power is off")

// live runs one workload to its cut, then recovers and checks.
func (w *world) live() error {
	w.cutIn = 1 + w.rng.IntN(120)
	w.image = nil
	w.fs.Fail(w.hook)
	if err := w.work(); err != nil {
		return err
	}
	w.fs.Fail(nil)
	if v := w.fs.Violations(); len(v) > 0 {
		return fmt.Errorf("stores without blocks: %v", v)
	}
	if w.image == nil {
		w.cut()
	}
	w.fs = w.image
	return w.check()
}

// hook takes the crash image just before some call.
func (w *world) hook(disktest.Op, string, int) error {
	w.mu.Lock()
	w.cutIn--
	now := w.cutIn == 0
	w.mu.Unlock()
	if now {
		w.cut()
	}
	return nil
}

func (w *world) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.atCut = map[string]item{}
	for id, it := range w.items {
		w.atCut[id] = *it
	}
	if w.power {
		w.image = w.fs.Crash(w.luck)
	} else {
		w.image = w.fs.Clone()
	}
}

func (w *world) isCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.image != nil
}

func options(fsys disk.FS) wal.Options {
	o := wal.Options{FS: fsys, SegmentSize: wal.MinSegmentSize, InlineMax: 4 << 10, SyncEvery: wal.SyncNever, Logger: quiet()}
	return wal.WithOffsetCapacity(o, 128<<10)
}

func (w *world) work() (err error) {
	l, err := wal.Open("/q", options(w.fs))
	if err != nil {
		return err
	}
	defer func() { l.Close() }()
	c, err := l.Consumer("", wal.Oldest)
	if err != nil {
		return err
	}
	w.handed = nil
	for step := 0; step < 400 && !w.isCut(); step++ {
		switch r := w.rng.IntN(100); {
		case r < 50:
			err = w.append(l, false)
		case r < 54:
			err = w.append(l, true)
		case r < 74:
			err = w.next(l, c)
		case r < 92:
			err = w.take(c)
		case r < 97:
			err = w.sync(l)
		case r < 98:
			err = w.flush(c)
		default:
			if err = l.Close(); err != nil {
				break
			}
			w.allSynced()
			if l, err = wal.Open("/q", options(w.fs)); err == nil {
				c, err = l.Consumer("", wal.Oldest)
			}
			w.handed = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// body is an item's content: it can be told from every other and checked in full.
func body(id string, n int) []byte {
	b := []byte(id + "|")
	for i := len(b); i < n; i++ {
		b = append(b, byte(i*7)+id[len(id)-1])
	}
	return b
}

func (w *world) append(l *wal.Log, large bool) error {
	w.mu.Lock()
	w.count++
	it := &item{id: fmt.Sprintf("%06d", w.count)}
	w.items[it.id] = it
	w.mu.Unlock()
	n := w.rng.IntN(300)
	if w.rng.IntN(10) == 0 {
		n = w.rng.IntN(4 << 10)
	}
	var p wal.Position
	var err error
	if large {
		p, err = upload(l, body(it.id, 1000+w.rng.IntN(200_000)))
	} else {
		p, err = l.Append(body(it.id, n), wal.Meta{})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	it.appended, it.seq, it.p = true, p.Seq, p
	return err
}

func upload(l *wal.Log, b []byte) (p wal.Position, err error) {
	u, err := l.Create(int64(len(b)), wal.Meta{})
	if err != nil {
		return p, err
	}
	for len(b) > 0 {
		n := min(len(b), 50_000)
		if _, err := u.Write(b[:n]); err != nil {
			return p, err
		}
		b = b[n:]
	}
	return u.Commit()
}

func (w *world) next(l *wal.Log, c *wal.Consumer) error {
	p, _, ok, err := c.Next()
	if err != nil || !ok {
		return err
	}
	it, err := w.read(l, p)
	if err != nil {
		return err
	}
	w.handed = append(w.handed, it)
	w.mu.Lock()
	it.p = p
	w.mu.Unlock()
	return nil
}

// read gets an item's content and finds out which one it is.
func (w *world) read(l *wal.Log, p wal.Position) (*item, error) {
	var b []byte
	var err error
	if p.Large() {
		var r *wal.Reader
		if r, err = l.Open(p); err == nil {
			b, err = io.ReadAll(r)
			r.Close()
		}
	} else {
		b, _, err = l.Read(p, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("item %d: %w", p.Seq, err)
	}
	if len(b) < 7 {
		return nil, fmt.Errorf("item %d has %d bytes", p.Seq, len(b))
	}
	it := w.items[string(b[:6])]
	if it == nil || string(b) != string(body(it.id, len(b))) {
		return nil, fmt.Errorf("item %d came back with wrong bytes: %.10q, %d of them, known %v", p.Seq, b, len(b), it != nil)
	}
	return it, nil
}

func (w *world) take(c *wal.Consumer) error {
	if len(w.handed) == 0 {
		return nil
	}
	i := 0
	if w.rng.IntN(2) == 0 {
		i = w.rng.IntN(len(w.handed))
	}
	it := w.handed[i]
	w.handed = append(w.handed[:i], w.handed[i+1:]...)
	w.mu.Lock()
	it.taking = true
	w.mu.Unlock()
	err := c.Take(it.p)
	w.mu.Lock()
	it.taken = true
	w.mu.Unlock()
	return err
}

func (w *world) flush(c *wal.Consumer) error {
	w.mu.Lock()
	for _, it := range w.items {
		it.taking = true
	}
	w.mu.Unlock()
	err := c.SkipToEnd()
	w.mu.Lock()
	for _, it := range w.items {
		it.taken = true
	}
	w.mu.Unlock()
	w.handed = nil
	return err
}

func (w *world) sync(l *wal.Log) error {
	w.mu.Lock()
	for _, it := range w.items {
		it.durable, it.durableTake = it.appended, it.taken
	}
	w.mu.Unlock()
	if err := l.Sync(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.items {
		it.synced, it.takeSynced = it.synced || it.durable, it.takeSynced || it.durableTake
	}
	return nil
}

func (w *world) allSynced() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.items {
		it.synced, it.takeSynced = it.appended, it.taken
	}
}

// check opens the image and holds what it delivers against what was promised.
func (w *world) check() error {
	l, err := wal.Open("/q", options(w.fs))
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	defer l.Close()
	c, err := l.Consumer("", wal.Oldest)
	if err != nil {
		return err
	}
	pending, _ := c.Pending()
	last, lastSeq := "", uint64(0)
	back := map[string]bool{}
	for {
		p, _, ok, err := c.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		it, err := w.read(l, p)
		if w.power && errors.Is(err, wal.ErrDamaged) {
			pending-- // the body of an upload that was never synced
			if err := c.Take(p); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		was := w.atCut[it.id]
		switch {
		case it.id <= last || p.Seq <= lastSeq:
			return fmt.Errorf("item %s comes after %s", it.id, last)
		case was.taken && !w.power:
			return fmt.Errorf("item %s was taken before the kill and came back", it.id)
		case was.takeSynced:
			return fmt.Errorf("item %s was taken before the last sync and came back", it.id)
		case was.appended && was.seq != p.Seq:
			return fmt.Errorf("item %s had number %d and has %d", it.id, was.seq, p.Seq)
		}
		last, lastSeq = it.id, p.Seq
		back[it.id] = true
	}
	if pending != int64(len(back)) {
		return fmt.Errorf("%d items were announced, %d came", pending, len(back))
	}
	for id, was := range w.atCut {
		if must := was.appended && !was.taking && (was.synced || !w.power); must && !back[id] {
			return fmt.Errorf("item %s (number %d) is lost", id, was.seq)
		}
	}
	// From here on the world is what survived.
	for id := range w.items {
		if !back[id] {
			delete(w.items, id)
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	for id := range back {
		*w.items[id] = item{id: id, appended: true, synced: true, seq: w.items[id].seq}
		if was := w.atCut[id]; was.appended {
			w.items[id].seq = was.seq
		}
	}
	return w.goesOn()
}

// goesOn: the log takes items again and gives them new numbers.
func (w *world) goesOn() error {
	l, err := wal.Open("/q", options(w.fs))
	if err != nil {
		return err
	}
	if err := w.append(l, false); err != nil {
		return err
	}
	newest := w.items[fmt.Sprintf("%06d", w.count)]
	for id, it := range w.items {
		if it != newest && it.seq >= newest.seq {
			return fmt.Errorf("number %d of item %s was given again", it.seq, id)
		}
	}
	newest.synced = true
	return l.Close()
}
