package queue

// The registry: all queues of a data directory, by name.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/google/btree"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/usage"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/datadir"
)

// ErrClosed answers everything after Registry.Close.
var ErrClosed = errors.New("the queues are closed")

// ErrName is for a name that no queue can have.
var ErrName = datadir.ErrName

// Registry holds the queues of one data directory, which it locks. A queue costs a few hundred
// bytes until it is used.
type Registry struct {
	dir        string
	fs         disk.FS
	o          Options
	logger     *slog.Logger
	lock       io.Closer
	trimsDots  bool // the file system does, at the end of names
	logs       logs
	background *wal.Background
	nodes      *btree.FreeListG[Item]
	clock      clock.Clock
	eras       *eras
	tick       atomic.Uint64 // logical time: goes up with each load, and each look for idle queues
	uses       uses
	janitor    *janitor
	scrubber   *scrubber
	walker     *task     // measures the directories in which no log was opened
	usage      *usage.FS // fs
	budget     *budget
	quietUntil atomic.Int64 // steady time, ns: no shortage is logged before
	ending     atomic.Bool  // see End
	sweeper    *sweeper
	undertaker *undertaker
	episodes   *metrics.Episodes
	opening    chan struct{} // holds one for each log that is being opened, to bound their files

	mu      sync.RWMutex
	stores  map[string]*store              // those that exist
	handles map[string]weak.Pointer[store] // of names without a queue
	pruneAt int                            // size of handles at which dead ones are removed
	loaded  map[*store]struct{}
	closed  bool
	creates uint64
	deletes uint64
	gone    gone

	syncsBefore uint64 // the last ResetStats
}

// Totals are figures of the whole registry.
type Totals struct {
	Queues, Loaded   int
	Creates, Deletes uint64 // since the start
	Syncs            uint64 // since the start
}

// OpenRegistry locks a data directory, which it creates if there is none, and lists its queues; it
// opens none. disk.ErrLocked means that another server has the directory.
func OpenRegistry(dir string, o Options) (*Registry, error) {
	o = o.withDefaults()
	counted := usage.New(o.Log.FS, dir)
	o.Log.Quarantine = filepath.Join(dir, datadir.QuarantineName)
	r := &Registry{
		dir: dir, fs: counted, usage: counted, o: o, logger: o.Log.Logger, logs: o.logs,
		clock:    o.Clock,
		episodes: o.Episodes,
		eras:     newEras(o.Clock, o.asleep),
		budget:   newBudget(counted, dir, o),
		nodes:    btree.NewFreeListG[Item](256),
		stores:   make(map[string]*store),
		handles:  make(map[string]weak.Pointer[store]),
		pruneAt:  minPrune,
		loaded:   make(map[*store]struct{}),
		opening:  make(chan struct{}, min(64, max(1, o.MaxLoaded/8))),
	}
	r.quietUntil.Store(math.MinInt64)
	if err := disk.MakeDir(r.fs, dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := datadir.Lock(r.fs, dir)
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("data directory %s: %w", dir, disk.ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := r.probe(); err != nil {
		lock.Close()
		advice := ""
		if errors.Is(err, disk.ErrUnfit) {
			advice = "; choose one on ext4, xfs, btrfs or another local file system"
		}
		return nil, fmt.Errorf("data directory %s: %w%s", dir, err, advice)
	}
	r.lock, r.trimsDots = lock, trimsTrailingDots(r.fs, dir)
	if err := r.list(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("data directory: %w", err)
	}
	r.background = wal.NewBackground(o.CompactRate, o.Clock)
	if err := r.background.SyncTogether(r.fs, filepath.Join(dir, datadir.LockName)); err != nil {
		r.logger.Warn("queues are synced one by one", "error", err)
	}
	r.background.KeepReserve(r.fs, filepath.Join(dir, datadir.ReserveName), reserveBytes)
	r.background.BoundBodies(o.OpenBodies)
	r.background.KeepForReuse(r.mostReused())
	r.o.Log.Background = r.background
	r.janitor = startJanitor(r)
	r.loadEras()
	r.scrubber = startScrubber(r)
	r.walker = startTask(r.walk)
	startUndertaker(r) // which the sweeper calls
	startSweeper(r)
	return r, nil
}

// steady is the steady time in ms.
func (r *Registry) steady() int64 { return clock.Steady(r.clock).Milliseconds() }

// probe finds out whether the file system can do what logs need. A file system that syncs as a
// whole is known to sync, so that is not tried: it takes time.
func (r *Registry) probe() error {
	w, err := r.fs.Volume(filepath.Join(r.dir, datadir.LockName))
	if err == nil {
		err = w.Close()
	}
	return disk.Probe(r.fs, r.dir, err != nil)
}

func (r *Registry) list() error {
	if err := r.fs.Mkdir(filepath.Join(r.dir, datadir.TrashName)); err != nil {
		return err
	}
	entries, err := r.fs.ReadDir(r.dir)
	if err != nil {
		return err
	}
	r.stores = make(map[string]*store, len(entries)) // else it grows 14 times for 100,000 queues
	for _, e := range entries {
		if !e.Dir || strings.HasPrefix(e.Name, ".") {
			continue
		}
		name, ok := datadir.QueueName(e.Name)
		if !ok {
			r.logger.Warn("directory belongs to no queue and is left alone",
				"dir", filepath.Join(r.dir, e.Name))
			continue
		}
		r.stores[name] = newStore(r, name, true)
	}
	return nil
}

// Queue returns the handle of a name: always the same one for as long as somebody holds it. It
// never waits for the disk, and leaves nothing there for an unknown name. The error is ErrName.
func (r *Registry) Queue(name []byte) (*Queue, error) {
	r.mu.RLock()
	s := r.findLocked(name)
	r.mu.RUnlock()
	if s != nil {
		return &s.own, nil
	}
	if _, err := datadir.DirName(string(name)); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.findLocked(name); s != nil {
		return &s.own, nil
	}
	s = newStore(r, string(name), false)
	r.pruneHandlesLocked()
	r.handles[s.name] = weak.Make(s)
	return &s.own, nil
}

// Has reports whether a queue exists.
func (r *Registry) Has(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.stores[name] != nil
}

func (r *Registry) findLocked(name []byte) *store {
	if s := r.stores[string(name)]; s != nil {
		return s
	}
	return r.handles[string(name)].Value()
}

const minPrune = 1024

// pruneHandlesLocked removes the names whose handles are gone, each time their number has doubled.
// A client that asks for a million names without a queue so costs only what the collector has not
// freed yet.
func (r *Registry) pruneHandlesLocked() {
	if len(r.handles) < r.pruneAt {
		return
	}
	for name, p := range r.handles {
		if p.Value() == nil {
			delete(r.handles, name)
		}
	}
	r.pruneAt = max(minPrune, 2*len(r.handles))
}

// addCreated enters a store that was created.
func (r *Registry) addCreated(s *store) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.handles, s.name)
	r.stores[s.name] = s
	r.creates++
}

// removeDeleted removes a store that was deleted. Its handle serves whoever still holds it.
func (r *Registry) removeDeleted(s *store, figures gone) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stores, s.name)
	r.handles[s.name] = weak.Make(s)
	r.deletes++
	r.gone.items += figures.items
	r.gone.expired += figures.expired
	r.gone.discarded += figures.discarded
}

// removeUncreated undoes addCreated.
func (r *Registry) removeUncreated(s *store) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stores, s.name)
	r.handles[s.name] = weak.Make(s)
	r.creates = max(r.creates, 1) - 1 // it may have been created before the figures were reset
}

// all returns the stores that exist, in no order.
func (r *Registry) all() []*store {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*store, 0, len(r.stores))
	for _, s := range r.stores {
		all = append(all, s)
	}
	return all
}

// known returns all stores, of names without a queue as well.
func (r *Registry) known() []*store {
	r.mu.RLock()
	defer r.mu.RUnlock()
	known := make([]*store, 0, len(r.stores)+len(r.handles))
	for _, s := range r.stores {
		known = append(known, s)
	}
	for _, p := range r.handles {
		if s := p.Value(); s != nil {
			known = append(known, s)
		}
	}
	return known
}

// Each calls fn for each queue that exists, in the order of their names and until it returns false,
// with no lock held.
func (r *Registry) Each(fn func(*Queue) bool) {
	stores := r.all()
	slices.SortFunc(stores, byName)
	for _, s := range stores {
		for _, q := range s.allQueues() {
			if !fn(q) {
				return
			}
		}
	}
}

func byName(a, b *store) int { return strings.Compare(a.name, b.name) }

// FlushAll flushes every queue. It may wait for the disk. When ctx ends it stops between two queues
// and returns the context's error.
func (r *Registry) FlushAll(ctx context.Context) error {
	var errs []error
	r.Each(func(q *Queue) bool {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			return false
		}
		// A parked queue that is known to be empty need not be loaded.
		if s, known := q.KnownStats(); !known || s.pending != 0 {
			errs = append(errs, q.Flush())
		}
		return true
	})
	return errors.Join(errs...)
}

// Totals returns the figures of the whole registry.
func (r *Registry) Totals() Totals {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return Totals{
		Queues: len(r.stores), Loaded: len(r.loaded), Creates: r.creates, Deletes: r.deletes,
		Syncs: r.background.Syncs() - r.syncsBefore,
	}
}

// ResetStats zeroes what Totals and the queues' Stats count since the start.
func (r *Registry) ResetStats() {
	r.mu.Lock()
	r.creates, r.deletes, r.syncsBefore = 0, 0, r.background.Syncs()
	r.gone.expired, r.gone.discarded = 0, 0
	r.mu.Unlock()
	r.Each(func(q *Queue) bool {
		q.ResetStats()
		return true
	})
}

// End says that Close follows soon: items that go back from now on do not count as delivered.
func (r *Registry) End() { r.ending.Store(true) }

// Close syncs and closes all queues. What is open is waiting again at the next start.
func (r *Registry) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	if was {
		return nil
	}
	r.scrubber.stop()
	r.walker.stop()
	r.sweeper.stop()
	r.undertaker.stop()
	r.janitor.stop()
	err := closeAll(r.loadedStores())
	r.background.Close()
	r.episodes.Close()
	return errors.Join(err, r.lock.Close())
}
