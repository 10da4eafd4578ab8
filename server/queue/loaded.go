package queue

// Which stores hold open logs, and how many may.

import (
	"errors"
	"math"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/darner/darner/wal/clock"
)

// enlist enters a store that is about to open its log; false when the registry is closed.
func (r *Registry) enlist(s *store) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if len(r.loaded) == 0 {
		r.janitor.alarm.Set(idleTime / 2)
		r.sweeper.alarm.Set(sweepEvery)
	}
	r.loaded[s] = struct{}{}
	return true
}

func (r *Registry) delist(s *store) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.loaded, s)
}

func (r *Registry) loadedStores() []*store {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*store, 0, len(r.loaded))
	for s := range r.loaded {
		all = append(all, s)
	}
	return all
}

// tries is how many queues are tried in vain, since they are in use after all, before giving up.
const tries = 4

// evictIdle parks another store than the one just loaded if too many are: the least recently used
// of a random few, which is nearly as good as of all.
func (r *Registry) evictIdle(loaded *store) {
	for range tries {
		if !r.crowded() {
			return
		}
		if s, before := oldest(r.few(loaded)); s == nil || s.park(before) {
			return
		}
	}
}

// short reports whether the system lacks what parking queues gives back: descriptors or memory.
func short(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// parkSome parks a few queues for want of something, so that the one being loaded finds what it needs and
// not each that comes after it has to ask. It reports whether any was parked.
func (r *Registry) parkSome(loading *store, want error) (any bool) {
	r.noteShortage(want)
	for range tries {
		if s, before := oldest(r.few(loading)); s != nil && s.park(before) {
			any = true
		}
	}
	if any {
		return true
	}
	others := slices.DeleteFunc(r.loadedStores(), func(s *store) bool { return s == loading })
	s, before := oldest(others) // if any can be parked, one is
	return s != nil && s.park(before)
}

// noteShortage logs that the system is short of something, once a minute.
func (r *Registry) noteShortage(want error) {
	now, until := int64(clock.Steady(r.clock)), r.quietUntil.Load()
	if now >= until && r.quietUntil.CompareAndSwap(until, now+int64(time.Minute)) {
		r.logger.Warn("too few descriptors or too little memory for the queues in use: they are parked for "+
			"each other, which costs time; raise the limits (ulimit -n, ulimit -v)", "error", want)
	}
}

func (r *Registry) crowded() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.loaded) > r.o.MaxLoaded
}

// few returns a random few of the other loaded stores.
func (r *Registry) few(but *store) (some []*store) {
	const few = 16
	r.mu.RLock()
	defer r.mu.RUnlock()
	for s := range r.loaded { // begins anywhere
		if s != but {
			some = append(some, s)
		}
		if len(some) == few {
			break
		}
	}
	return some
}

// Busy names the queues that hold files, in order: after Close began, those it still waits for.
func (r *Registry) Busy() (names []string) {
	for _, s := range r.loadedStores() {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return names
}

// oldest returns the least recently used of the stores that nobody needs, and the clock before
// which it was used.
func oldest(stores []*store) (least *store, before uint64) {
	before = math.MaxUint64
	for _, s := range stores {
		s.mu.Lock()
		if s.log != nil && !s.busy() && s.used < before {
			least, before = s, s.used
		}
		s.mu.Unlock()
	}
	return least, before + 1
}

// closeAll closes logs side by side: their syncs share the disk's.
func closeAll(stores []*store) error {
	const atOnce = 16
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		errs    []error
	)
	work := make(chan *store)
	for range atOnce {
		workers.Go(func() {
			for s := range work {
				err := s.close()
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, s := range stores {
		work <- s
	}
	close(work)
	workers.Wait()
	return errors.Join(errs...)
}
