package wal_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

var crashes = flag.Int("crashes", 40, "random workloads that end in a crash")
var firstSeed = flag.Int("seed", 0, "of the first of them")

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
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		w := &world{
			rng: rand.New(rand.NewPCG(uint64(seed), 42)), luck: rand.New(rand.NewPCG(uint64(seed), 43)), power: power,
			fs: disktest.New(), items: map[string]*item{},
			consumers: 1 + seed/2%2, timed: seed%5 == 4, bursts: seed%4 == 3, cutAgain: seed%3 > 0,
			compacts: seed%3 != 2,
		}
		for generation := range 3 {
			if err := w.live(); err != nil {
				t.Errorf("seed %d, generation %d: %v", seed, generation, err)
				break
			}
		}
	}
}

// item is what the test knows of one item. Each step has a beginning and an end: what was under
// way at the cut may have happened or not.
type item struct {
	id               string
	seq              uint64
	appended, synced bool
	syncs            uint64 // syncs the log had done when it was appended
	by               [2]struct {
		taking, taken bool // Take was called, has returned
		synced        bool
		durable       bool // scratch of a sync under way
	}
	p       wal.Position
	durable bool // scratch of a sync under way
}

// world is one disk and what was done on it.
type world struct {
	rng   *rand.Rand // for the workload
	luck  *rand.Rand // for the crash image, taken from any goroutine
	power bool
	fs    *disktest.FS

	consumers int  // 1 or 2
	timed     bool // syncs come by themselves
	bursts    bool // items are taken out of order, many at a time: offset files are rewritten
	cutAgain  bool // recovery is cut as well
	compacts  bool // segments are rewritten: to what is left, to their cold form, several to one

	mu     sync.Mutex // model and cut; never held over a call of the log
	items  map[string]*item
	count  int
	image  *disktest.FS
	atCut  map[string]item
	cutIn  int
	handed [2][]*item // to each consumer
	burst  int        // takes since offset files were last seen to
}

var consumerNames = [2]string{"", "audit"}

// live runs one workload to its cut, then recovers and checks.
func (w *world) live() error {
	w.cutIn = 1 + w.rng.IntN(120)
	if w.bursts {
		w.cutIn += w.rng.IntN(200)
	}
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
	for again := w.cutAgain; again; again = w.rng.IntN(2) == 0 {
		if err := w.cutRecovery(); err != nil {
			return err
		}
	}
	return w.check()
}

// cutRecovery opens the log and cuts it off at some call of that. Nothing new is promised
// meanwhile, and nothing that was may be broken.
func (w *world) cutRecovery() error {
	var image *disktest.FS
	in := 1 + w.rng.IntN(30)
	var mu sync.Mutex
	take := func() {
		if image == nil && w.power {
			image = w.fs.Crash(w.luck)
		} else if image == nil {
			image = w.fs.Clone()
		}
	}
	w.fs.Fail(func(disktest.Op, string, int) error {
		mu.Lock()
		defer mu.Unlock()
		if in--; in == 0 {
			take()
		}
		return nil
	})
	l, err := wal.Open("/q", w.options())
	if err != nil {
		return fmt.Errorf("recovery that is going to be cut: %w", err)
	}
	for i := range w.consumers {
		if _, err := l.Consumer(consumerNames[i], wal.Oldest); err != nil {
			return err
		}
	}
	wal.Tidy(l)
	if w.compacts {
		wal.Compact(l)
	}
	mu.Lock()
	take()
	mu.Unlock()
	w.fs.Fail(nil)
	l.Abandon()
	w.fs = image
	return nil
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
	o.Cold = &wal.Cold{}
	return wal.WithOffsetCapacity(o, 128<<10)
}

func (w *world) options() wal.Options {
	o := options(w.fs)
	if w.compacts {
		o.Cold = nil
	}
	if w.timed {
		o.SyncEvery = time.Millisecond
	}
	if w.bursts {
		o = wal.WithOffsetCapacity(o, 24<<10)
	}
	return o
}

func (w *world) work() (err error) {
	l, cs, err := w.open()
	if err != nil {
		return err
	}
	defer func() { l.Close() }()
	for step := 0; step < 400 && !w.isCut(); step++ {
		i := w.rng.IntN(w.consumers)
		switch r := w.rng.IntN(100); {
		case r < 50:
			err = w.append(l, false)
		case r < 54:
			err = w.append(l, true)
		case r < 74:
			err = w.next(l, cs[i], i)
		case r < 92:
			err = w.take(cs[i], i)
		case r < 96:
			err = w.sync(l)
		case r < 97:
			err = w.flush(cs[i], i)
		case r < 98 && w.bursts:
			err = w.takeMany(l, cs[i], i)
		case r < 98 && w.compacts:
			err = w.compact(l, cs[i], i)
		default:
			if err = l.Close(); err != nil {
				break
			}
			w.allSynced()
			l, cs, err = w.open()
		}
		if err != nil {
			return err
		}
		w.syncedByTimer(l)
	}
	return nil
}

func (w *world) open() (l *wal.Log, cs [2]*wal.Consumer, err error) {
	w.handed = [2][]*item{}
	if l, err = wal.Open("/q", w.options()); err != nil {
		return nil, cs, err
	}
	for i := range w.consumers {
		if cs[i], err = l.Consumer(consumerNames[i], wal.Oldest); err != nil {
			return l, cs, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.items {
		it.syncs = 0 // the log counts from its opening
	}
	return l, cs, nil
}

// syncedByTimer knows of an item that it is safe when two syncs have ended since: the second began
// behind it.
func (w *world) syncedByTimer(l *wal.Log) {
	syncs := l.Stats().Syncs
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.items {
		it.synced = it.synced || it.appended && w.image == nil && it.syncs+2 <= syncs
	}
}

// takeMany appends, and takes most of what it was handed, out of order.
func (w *world) takeMany(l *wal.Log, c *wal.Consumer, i int) (err error) {
	for range 40 {
		err = errors.Join(err, w.append(l, false), w.next(l, c, i))
	}
	for range 30 {
		err = errors.Join(err, w.take(c, i))
	}
	if w.burst++; w.burst%3 == 0 { // lest the background falls behind what the file is mapped for
		wal.Tidy(l)
	}
	return err
}

// compact fills a few segments, takes most of them out of order, and has them rewritten.
func (w *world) compact(l *wal.Log, c *wal.Consumer, i int) (err error) {
	for range w.rng.IntN(150) {
		err = errors.Join(err, w.append(l, false))
		if w.rng.IntN(2) == 0 {
			err = errors.Join(err, w.next(l, c, i), w.take(c, i))
		}
	}
	wal.Tidy(l)
	wal.Compact(l)
	return err
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
	syncs := l.Stats().Syncs // not under mu, which the hook takes while the log is locked
	w.mu.Lock()
	defer w.mu.Unlock()
	it.appended, it.seq, it.p, it.syncs = true, p.Seq, p, syncs
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

func (w *world) next(l *wal.Log, c *wal.Consumer, i int) error {
	p, _, ok, err := c.Next()
	if err != nil || !ok {
		return err
	}
	it, err := w.read(l, p)
	if err != nil {
		return err
	}
	w.handed[i] = append(w.handed[i], it)
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

func (w *world) take(c *wal.Consumer, by int) error {
	if len(w.handed[by]) == 0 {
		return nil
	}
	i := 0
	if w.rng.IntN(2) == 0 {
		i = w.rng.IntN(len(w.handed[by]))
	}
	it := w.handed[by][i]
	w.handed[by] = append(w.handed[by][:i], w.handed[by][i+1:]...)
	w.mu.Lock()
	it.by[by].taking = true
	w.mu.Unlock()
	err := c.Take(it.p)
	w.mu.Lock()
	defer w.mu.Unlock()
	it.by[by].taken = true
	return err
}

func (w *world) flush(c *wal.Consumer, by int) error {
	w.mu.Lock()
	for _, it := range w.items {
		it.by[by].taking = true
	}
	w.mu.Unlock()
	err := c.SkipToEnd()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.items {
		it.by[by].taken = true
	}
	w.handed[by] = nil
	return err
}

func (w *world) sync(l *wal.Log) error {
	w.mu.Lock()
	for _, it := range w.items {
		it.durable = it.appended
		for i := range it.by {
			it.by[i].durable = it.by[i].taken
		}
	}
	w.mu.Unlock()
	if err := l.Sync(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.items {
		it.synced = it.synced || it.durable
		for i := range it.by {
			it.by[i].synced = it.by[i].synced || it.by[i].durable
		}
	}
	return nil
}

func (w *world) allSynced() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.items {
		it.synced = it.appended
		for i := range it.by {
			it.by[i].synced = it.by[i].taken
		}
	}
}

// check opens the image and holds what it delivers against what was promised.
func (w *world) check() error {
	l, cs, err := w.open()
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	defer l.Close()
	var back [2]map[string]bool
	for i := range w.consumers {
		if back[i], err = w.delivered(l, cs[i], i); err != nil {
			return fmt.Errorf("consumer %q: %w", consumerNames[i], err)
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	// From here on the world is what survived. What only one consumer has yet to take is taken by the other.
	for id, was := range w.items {
		if !back[0][id] && !back[1][id] {
			delete(w.items, id)
			continue
		}
		it := &item{id: id, appended: true, synced: true, seq: was.seq}
		for i := range w.consumers {
			taken := !back[i][id]
			it.by[i].taking, it.by[i].taken = taken, false // an item of which not even this is known may come again
		}
		w.items[id] = it
	}
	return w.goesOn()
}

// delivered drains one consumer.
func (w *world) delivered(l *wal.Log, c *wal.Consumer, by int) (back map[string]bool, err error) {
	pending, _ := c.Pending()
	last, lastSeq := "", uint64(0)
	back = map[string]bool{}
	for {
		p, _, ok, err := c.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		it, err := w.read(l, p)
		if w.power && errors.Is(err, wal.ErrDamaged) {
			pending-- // the body of an upload that was never synced
			if err := c.Take(p); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		was := w.atCut[it.id]
		switch {
		case it.id <= last || p.Seq <= lastSeq:
			return nil, fmt.Errorf("item %s comes after %s", it.id, last)
		case was.by[by].taken && !w.power:
			return nil, fmt.Errorf("item %s was taken before the kill and came back", it.id)
		case was.by[by].synced:
			return nil, fmt.Errorf("item %s was taken before the last sync and came back", it.id)
		case was.appended && was.seq != p.Seq:
			return nil, fmt.Errorf("item %s had number %d and has %d", it.id, was.seq, p.Seq)
		}
		last, lastSeq = it.id, p.Seq
		back[it.id] = true
		w.items[it.id].seq = p.Seq
	}
	if pending != int64(len(back)) {
		return nil, fmt.Errorf("%d items were announced, %d came", pending, len(back))
	}
	for id, was := range w.atCut {
		if must := was.appended && !was.by[by].taking && (was.synced || !w.power); must && !back[id] {
			return nil, fmt.Errorf("item %s (number %d) is lost", id, was.seq)
		}
	}
	return back, nil
}

// goesOn: the log takes items again and gives them new numbers.
func (w *world) goesOn() error {
	l, err := wal.Open("/q", w.options())
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
