package queue

// The disk, the queues on it, and what the test knows of their items.

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// place is where a record is.
type place struct {
	queue string
	seq   uint64
}

// kept is what is known of one record of an item. An item that a crash left in two places has two.
type kept struct {
	id   string
	size int64

	enqueued, expires, due int64 // Unix ms

	stored, synced bool   // Put has returned; and a sync after it
	base           bool   // it was there when the generation began
	touched        bool   // a client has had it
	ending         bool   // Confirm was called
	gone, forGood  bool   // it was seen taken; before a sync
	unsure         bool   // it was taken on a full disk, which may have no room to note it
	returning      uint32 // how often it may have come back
	noted          uint32 // how often that surely is noted
	notedSynced    uint32

	syncing, goneThen bool   // scratch of a sync under way
	notedThen         uint32 // likewise
}

// crashWorld is one disk and what was done on it.
type crashWorld struct {
	*plan
	seen  *figuresOfCrashes
	luck  *rand.Rand // for the crash image
	fs    *disktest.FS
	r     *Registry
	open  map[string][]Item
	count int
	full  bool // the disk has a bound

	mu      sync.Mutex // model and cut; never held over a call of a queue
	records map[place]*kept
	coming  map[string]string // what is being put, or was when a cut came, and where
	refused map[string]bool
	torn    map[place]bool // numbers of large items whose bodies are lost
	copies  map[string]int // of each item when the generation began
	cutIn   int            // calls until the cut; 0: not counting
	image   *disktest.FS
	atCut   atCut

	running atomic.Pointer[Registry] // r, for goroutines that it starts
}

// atCut is what was known at the cut.
type atCut struct {
	now      int64
	full     bool // the disk had a bound at some time before
	fullThen bool // and has it now
	records  map[place]kept
	coming   map[string]string
	moving   map[place]bool // what was being moved
	unknown  map[string]bool
}

// run runs the plan, and is an error if a promise is broken.
func (p *plan) run(t *testing.T, seen *figuresOfCrashes) (err error) {
	synctest.Test(t, func(*testing.T) {
		w := &crashWorld{
			plan: p, seen: seen, fs: disktest.New(), records: map[place]*kept{},
			refused: map[string]bool{}, copies: map[string]int{}, torn: map[place]bool{},
		}
		for i := range p.generations {
			if err = w.live(&p.generations[i]); err != nil {
				err = fmt.Errorf("generation %d: %w", i, err)
				return
			}
		}
	})
	return err
}

// live runs one generation to its cut, then checks what is left.
func (w *crashWorld) live(g *generation) error {
	w.luck = rand.New(rand.NewPCG(g.luck, 45))
	w.image, w.atCut, w.coming = nil, atCut{full: w.full}, map[string]string{}
	w.open = map[string][]Item{}
	w.fs.Fail(w.hook)
	err := w.work(g)
	if w.r != nil {
		w.r.Close() // which the image knows nothing of
		w.r = nil
		w.running.Store(nil)
	}
	w.fs.Fail(nil)
	if err != nil {
		return err
	}
	if v := w.fs.Violations(); len(v) > 0 {
		return fmt.Errorf("stores without blocks: %v", v)
	}
	w.fs, w.full = w.image, w.atCut.fullThen
	w.seen.crashes.Add(1)
	left, err := w.checkFiles()
	if err != nil {
		return err
	}
	if err := w.checkQueues(left); err != nil {
		return fmt.Errorf("after the crash: %w", err)
	}
	return nil
}

// work does the steps. The cut comes in the last of them.
func (w *crashWorld) work(g *generation) error {
	if len(g.steps) == 0 {
		w.countDown(g.cut)
	}
	if err := w.start(); err != nil {
		return err
	}
	if len(g.steps) == 0 {
		w.pass(10 * time.Second)
	}
	for i, s := range g.steps {
		if i == len(g.steps)-1 {
			w.countDown(g.cut)
		}
		if err := w.do(s); err != nil {
			return fmt.Errorf("%s %s: %w", s.op, s.queue, err)
		}
		if w.settles {
			synctest.Wait()
		}
		if err := w.observe(); err != nil {
			return fmt.Errorf("%s %s: %w", s.op, s.queue, err)
		}
	}
	w.cut()
	return nil
}

// start opens the queues.
func (w *crashWorld) start() (err error) {
	if w.r, err = OpenRegistry("/data", w.options(w.fs)); err != nil && w.full {
		w.room()
		w.r, err = OpenRegistry("/data", w.options(w.fs))
	}
	w.running.Store(w.r)
	return err
}

func (p *plan) options(fs *disktest.FS) Options {
	o := timed()
	o.Log.FS, o.Log.InlineMax = fs, 16<<10
	mapLittle(&o.Log)
	if p.timed {
		o.Log.SyncEvery = time.Second
	}
	o.Settings = func(name string) *Settings { return p.settings[name] }
	return o
}

// mapLittle has offset files be small. The disk in memory looks through all that is mapped of them
// at each sync, which by default is most of what a campaign would do.
func mapLittle(o *wal.Options) {
	capacity := reflect.ValueOf(o).Elem().FieldByName("offsetCapacity")
	*(*int)(capacity.Addr().UnsafePointer()) = 128 << 10
}

func (w *crashWorld) queue(name string) *Queue {
	q, err := w.r.Queue([]byte(name))
	if err != nil {
		panic(err)
	}
	return q
}

func (w *crashWorld) countDown(calls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutIn = calls
}

// hook takes the crash image just before some call.
func (w *crashWorld) hook(disktest.Op, string, int) error {
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
func (w *crashWorld) cut() {
	moving, unknown := w.movingNow()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutIn = 0
	if w.image != nil {
		return
	}
	w.atCut = atCut{
		now: time.Now().UnixMilli(), full: w.atCut.full || w.full, fullThen: w.full,
		records: map[place]kept{},
		coming:  maps.Clone(w.coming), moving: moving, unknown: unknown,
	}
	for at, k := range w.records {
		w.atCut.records[at] = *k
	}
	if len(moving) > 0 {
		w.seen.moving.Add(1)
	}
	if w.full {
		w.seen.full.Add(1)
	}
	if w.power {
		w.image = w.fs.Crash(w.luck)
	} else {
		w.image = w.fs.Clone()
	}
	moving, unknown = w.movingNow() // what began meanwhile
	maps.Copy(w.atCut.moving, moving)
	maps.Copy(w.atCut.unknown, unknown)
}

// movingNow is what is being moved. Of a queue whose lock the caller of the file system holds, that
// is unknown.
func (w *crashWorld) movingNow() (moving map[place]bool, unknown map[string]bool) {
	moving, unknown = map[place]bool{}, map[string]bool{}
	r := w.running.Load()
	if r == nil {
		return moving, unknown
	}
	for _, name := range queueNames {
		q, err := r.Queue([]byte(name))
		if err != nil {
			panic(err)
		}
		if !q.store.mu.TryLock() {
			unknown[name] = true
			continue
		}
		for seq := range q.moving {
			moving[place{name, seq}] = true
		}
		q.store.mu.Unlock()
	}
	return moving, unknown
}

func (w *crashWorld) isCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.image != nil
}

// known is all records, in order.
func (w *crashWorld) known(queue string) (all []place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := range w.records {
		if at.queue == queue {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, func(a, b place) int { return int(a.seq) - int(b.seq) })
	return all
}

// observe notes which records are taken by now. It is an error for one that had no reason to leave.
func (w *crashWorld) observe() error {
	for _, name := range queueNames {
		q := w.queue(name)
		all := w.known(name)
		q.store.mu.Lock()
		var taken []place
		if q.store.loadedLocked() && q.returned != nil {
			for _, at := range all {
				if q.cursor.Taken(Position{Seq: at.seq}) {
					taken = append(taken, at)
				}
			}
		}
		q.store.mu.Unlock()
		w.mu.Lock()
		for _, at := range taken {
			k := w.records[at]
			if !k.gone && !w.mayLeave(at, k, time.Now().UnixMilli()) {
				w.mu.Unlock()
				return fmt.Errorf("item %s left queue %s for no reason", k.id, name)
			}
			k.unsure = k.unsure || w.full && !k.gone
			k.gone = k.gone || !k.unsure
		}
		w.mu.Unlock()
	}
	return nil
}

// ends is when an item expires in a queue; 0 is never.
func (p *plan) ends(queue string, enqueued, expires int64) int64 {
	if most := p.settings[queue].MaxAge; most > 0 {
		if at := enqueued + most.Milliseconds(); expires == 0 || at < expires {
			return at
		}
	}
	return expires
}

func (p *plan) hasExpired(at place, k *kept, now int64) bool {
	ends := p.ends(at.queue, k.enqueued, k.expires)
	return ends != 0 && ends <= now
}

func (p *plan) isSpent(at place, k *kept) bool {
	most := p.settings[at.queue].MaxDeliveries
	return most > 0 && k.returning >= uint32(most)
}

// mayLeave reports whether a record may have been taken by a time.
func (p *plan) mayLeave(at place, k *kept, now int64) bool {
	return k.ending || p.mayMove(at, k, now) || p.mayBeDropped(at, k, now)
}

// mayBeDropped reports whether a record may have been dropped for good.
func (p *plan) mayBeDropped(at place, k *kept, now int64) bool {
	set := p.settings[at.queue]
	return set.Discard || set.ExpireTo == "" && p.hasExpired(at, k, now) ||
		set.DeadLetter == "" && p.isSpent(at, k)
}

// mayMove reports whether a record may have been moved to another queue.
func (p *plan) mayMove(at place, k *kept, now int64) bool {
	set := p.settings[at.queue]
	return set.ExpireTo != "" && p.hasExpired(at, k, now) || set.DeadLetter != "" && p.isSpent(at, k)
}

// mayRefuse reports whether there is a bound that accounts for an error.
func (w *crashWorld) mayRefuse(queue string, err error) bool {
	if w.atCut.full && errors.Is(err, syscall.ENOSPC) { // for a new queue's directory; tried later
		return true
	}
	return errors.Is(err, ErrFull) && (w.full || w.settings[queue].MaxItems > 0)
}
