package wal_test

// The disk, the logs on it, and what is known of their items.

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// mostConsumers of a log: its own, one from the start, one that comes late.
const mostConsumers = 3

var consumerNames = [mostConsumers]string{"", "audit", "late"}

// item is what the test knows of one item. Each step has a beginning and an end: what was under
// way at the cut may have happened or not.
type item struct {
	id               string
	order            int // of the beginning of its append
	seq              uint64
	appended, synced bool
	refused          bool   // its append was answered with an error: it must not come
	moved            bool   // it came in pieces, and may have had to move
	syncs            uint64 // syncs the log had done when it was appended
	by               [mostConsumers]delivery
	noted            [mostConsumers]uint32 // deliveries that were ever noted: never more come back
	p                wal.Position
	durable          bool // scratch of a sync under way
}

// delivery is an item as one consumer has it.
type delivery struct {
	// The consumer was there when the item came, or the item when the consumer came.
	owed          bool
	taking, taken bool // Take was called, has returned
	synced        bool // taken before a sync
	unnoted       bool // taken out of order while the disk was full
	maybe         bool // a rewind may have put it back
	durable       bool // scratch of a sync under way
}

// reader is one consumer of a log.
type reader struct {
	from            wal.Start
	joining, joined bool
	left            bool          // it was removed, and did not join since
	durable         bool          // joined before a sync
	filed           bool          // it had its file at the cut
	begin           uint64        // nothing before that comes
	c               *wal.Consumer // nil: there was no room for it
	handed          []*item
	scratch         bool // of a sync under way
}

// queue is one log.
type queue struct {
	dir     string
	l       *wal.Log
	items   map[string]*item
	coming  []*coming
	readers [mostConsumers]reader
}

// coming is an item that comes in pieces.
type coming struct {
	it   *item
	b    []byte
	left []byte // of b
	u    *wal.Upload
}

// world is one disk and what was done on it.
type world struct {
	*plan
	excuses *excuses
	luck    *rand.Rand // for the crash image, taken from any goroutine
	fs      *disktest.FS
	back    *wal.Background
	catchUp func() // has the background do what waits to be done, unless it does so by itself
	queues  []*queue
	count   int
	full    bool         // the disk has a bound
	budget  atomic.Int64 // bytes that are admitted, negative: any
	bounded bool         // there was a bound once

	mu    sync.Mutex // model and cut; never held over a call of the log
	cutIn int        // calls until the cut; 0: not counting
	image *disktest.FS
	atCut []known // of each queue
}

// known is what was known of a queue at the cut.
type known struct {
	items   map[string]item
	readers [mostConsumers]reader
}

const syncedFile = "/.lock"

// run runs the plan, and is an error if a promise is broken.
func (p *plan) run(e *excuses) error {
	w := &world{plan: p, excuses: e, fs: disktest.New()}
	if err := errors.Join(w.fs.WriteFile(syncedFile, nil), w.fs.SyncDir("/")); err != nil {
		return err
	}
	w.budget.Store(-1)
	for i := range p.logs {
		q := &queue{dir: fmt.Sprintf("/q%d", i), items: map[string]*item{}}
		for j := range p.consumers {
			q.readers[j] = reader{from: wal.Oldest, joining: true}
		}
		w.queues = append(w.queues, q)
	}
	for i := range p.generations {
		if err := w.live(&p.generations[i]); err != nil {
			return fmt.Errorf("generation %d: %w", i, err)
		}
	}
	return nil
}

// live runs one generation to its cut, then recovers and checks.
func (w *world) live(g *generation) error {
	w.luck = rand.New(rand.NewPCG(g.luck, 43))
	w.image, w.atCut = nil, nil
	w.fs.Fail(w.hook)
	err := w.work(g)
	w.fs.Fail(nil)
	if err != nil {
		return err
	}
	if v := w.fs.Violations(); len(v) > 0 {
		return fmt.Errorf("stores without blocks: %v", v)
	}
	w.fs = w.image
	w.roomForDirectories()
	for _, calls := range g.recuts {
		if err := w.cutRecovery(calls); err != nil {
			return err
		}
	}
	return w.check()
}

// work does the steps. The cut comes in the last of them.
func (w *world) work(g *generation) (err error) {
	defer w.close()
	if err := w.open(); err != nil {
		return err
	}
	for i, s := range g.steps {
		if i == len(g.steps)-1 {
			w.mu.Lock()
			w.cutIn = g.cut
			w.mu.Unlock()
		}
		q := w.queues[s.log%len(w.queues)]
		if err := w.do(q, s); err != nil {
			return fmt.Errorf("%s: %w", s.op, err)
		}
		w.syncedByTimer(q)
	}
	w.cut()
	return nil
}

// hook takes the crash image just before some call.
func (w *world) hook(disktest.Op, string, int) error {
	w.mu.Lock()
	now := w.cutIn == 1
	w.cutIn = max(0, w.cutIn-1)
	w.mu.Unlock()
	if now {
		w.cut()
	}
	return nil
}

// cut takes the image, if none was taken.
func (w *world) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutIn = 0
	if w.image != nil {
		return
	}
	for _, q := range w.queues {
		k := known{map[string]item{}, q.readers}
		for i := range k.readers {
			k.readers[i].filed = w.hasFile(q, i)
		}
		for id, it := range q.items {
			k.items[id] = *it
		}
		w.atCut = append(w.atCut, k)
	}
	w.image = w.crash()
}

func (w *world) crash() *disktest.FS {
	if w.power {
		return w.fs.Crash(w.luck)
	}
	return w.fs.Clone()
}

// hasFile reports whether a consumer has its file. In a log without items it gets that with the
// first one.
func (w *world) hasFile(q *queue, i int) bool {
	name := "consumer.off"
	if i > 0 {
		name = "consumer+" + consumerNames[i] + ".off"
	}
	return slices.Contains(w.fs.Names(q.dir), name)
}

func (w *world) isCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.image != nil
}

// cutRecovery opens the logs and cuts that off at some call. Nothing new is promised meanwhile, and
// nothing that was may be broken.
func (w *world) cutRecovery(calls int) error {
	var image *disktest.FS
	var mu sync.Mutex
	w.fs.Fail(func(disktest.Op, string, int) error {
		mu.Lock()
		defer mu.Unlock()
		if calls--; calls == 0 {
			image = w.crash()
		}
		return nil
	})
	err := w.open()
	for _, q := range w.queues {
		if err == nil {
			wal.PrepareAndCleanup(q.l)
		}
		if err == nil && w.cold {
			wal.Compact(q.l)
		}
	}
	w.fs.Fail(nil)
	if image == nil {
		image = w.crash()
	}
	w.close()
	w.fs = image
	w.roomForDirectories()
	if err != nil {
		return fmt.Errorf("recovery before its cut: %w", err)
	}
	return nil
}

// roomForDirectories: a log of which not even the directory is left cannot be made on a full disk.
func (w *world) roomForDirectories() {
	for _, q := range w.queues {
		if _, err := w.fs.ReadDir(q.dir); errors.Is(err, fs.ErrNotExist) {
			w.room()
		}
	}
}

// open starts on the disk as it is.
func (w *world) open() error {
	w.back, w.catchUp = wal.NewBackground(-1, nil), func() {}
	if !w.background {
		w.catchUp, _ = w.back.Hold()
	}
	if err := w.back.SyncTogether(w.fs, syncedFile); err != nil {
		return err
	}
	wal.ShareFrom(w.back, 2)
	for _, q := range w.queues {
		if err := w.openQueue(q); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) openQueue(q *queue) (err error) {
	if q.l, err = wal.Open(q.dir, w.options()); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	w.mu.Lock()
	for _, it := range q.items {
		it.syncs = 0 // the log counts from its opening
	}
	w.mu.Unlock()
	for i := range q.readers {
		q.readers[i].handed = nil
		if err := w.comesBack(q, i); err != nil {
			return err
		}
		if q.readers[i].joining {
			if err := w.join(q, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// comesBack knows of a consumer that was about to be removed at the cut and is there again. It is
// an error for one whose removal was over.
func (w *world) comesBack(q *queue, i int) error {
	r := &q.readers[i]
	if !r.left {
		return nil
	}
	f, err := w.fs.OpenRead(q.dir + "/consumer+" + consumerNames[i] + ".off")
	if err != nil {
		return nil
	}
	f.Close()
	at := slices.Index(w.queues, q)
	if w.atCut == nil || w.atCut[at].readers[i].left {
		return fmt.Errorf("consumer %q was removed and is there", consumerNames[i])
	}
	*r = w.atCut[at].readers[i]
	r.handed = nil
	return nil
}

// join has a consumer of the log from now on. On a full disk there may be no room for it.
func (w *world) join(q *queue, i int) error {
	r := &q.readers[i]
	w.mu.Lock()
	r.joining = true
	w.mu.Unlock()
	c, err := q.l.Consumer(consumerNames[i], r.from)
	if errors.Is(err, wal.ErrFull) && i > 0 {
		r.c = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("consumer %q: %w", consumerNames[i], err)
	}
	r.c, r.left = c, false
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.joined {
		return nil
	}
	r.joined = true
	for _, it := range q.items {
		switch {
		case !it.appended:
		case r.from == wal.Newest:
			r.begin = max(r.begin, it.seq+1)
		default:
			it.by[i].owed = !q.gone(it)
		}
	}
	return nil
}

// gone reports that an item may be deleted, as each consumer there is may have taken it.
func (q *queue) gone(it *item) bool {
	for i, d := range it.by {
		if q.readers[i].joined && d.owed && !d.taking {
			return false
		}
	}
	return true
}

// close ends the process: without a last sync where the cut was before.
func (w *world) close() {
	for _, q := range w.queues {
		if q.l != nil {
			q.l.Abandon()
		}
		q.breakOff()
		q.l = nil
	}
	w.catchUp()
	w.back.Close()
}

func options(fsys disk.FS) wal.Options {
	o := wal.Options{FS: fsys, SegmentSize: wal.MinSegmentSize, InlineMax: 16 << 10,
		SyncEvery: wal.SyncNever, Logger: quiet()}
	o.Cold = &wal.Cold{}
	return wal.WithOffsetCapacity(o, 128<<10)
}

func (w *world) options() wal.Options {
	o := options(w.fs)
	if w.cold {
		o.Cold = nil
	}
	if w.timed {
		o.SyncEvery = time.Millisecond
	}
	o.Background, o.Admit = w.back, w.admit
	return wal.WithOffsetCapacity(o, w.offsets)
}

var errOverBudget = errors.New("over the budget")

func (w *world) admit(bytes int64) error {
	if left := w.budget.Load(); left >= 0 && bytes > left {
		return errOverBudget
	}
	w.budget.Add(-bytes)
	return nil
}
