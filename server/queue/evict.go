package queue

// Which stores have open logs, and which of them are parked when there are too many.

import (
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/darner/darner/wal/clock"
)

// addLoaded enters a store that is about to open its log; false when the registry is closed.
func (r *Registry) addLoaded(s *store) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if len(r.loaded) == 0 {
		r.janitor.alarm.Set(idleTime / 2)
		r.sweeper.setAlarm(sweepEvery)
	}
	r.loaded[s] = struct{}{}
	return true
}

func (r *Registry) removeLoaded(s *store) {
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

// maxAttempts is how many stores are tried before giving up: one may turn out to be in use.
const maxAttempts = 4

// inUse is how long a store that was used is not parked for another one, unless far too many are
// loaded. If more are in use by turns than may be loaded, each use would load one and park the one
// that comes next.
const inUse = 10 * time.Second

// evictIdle parks another store than the one just loaded if too many are loaded: the least recently
// used of a random few, which is nearly as good as that of all. If all of these are in use half as
// many again may be loaded. After that any of them goes: by turns, the least recently used would be
// the one that comes next.
func (r *Registry) evictIdle(loaded *store) {
	for range maxAttempts {
		n := r.countLoaded()
		if n <= r.o.MaxLoaded {
			return
		}
		some := r.someLoaded(loaded)
		s, before := leastUsed(some)
		if s != nil && before > r.uses.unusedSince(r) {
			if n <= r.o.MaxLoaded+r.o.MaxLoaded/2 {
				return
			}
			s, before = anyUnneeded(some)
		}
		if s == nil || s.park(before) {
			return
		}
	}
}

// uses tells what has been used lately, by Registry.tick.
type uses struct {
	mu           sync.Mutex
	began        bool
	at           time.Duration // the steady time at which tick was last
	last, before uint64        // and what it was inUse ago or more
}

// unusedSince returns the tick that stores not in use were last used before.
func (u *uses) unusedSince(r *Registry) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := clock.Steady(r.clock)
	if !u.began || now-u.at >= inUse {
		u.before, u.last = u.last, r.tick.Add(1)
		u.began, u.at = true, now
	}
	return u.before
}

// parkOthers parks a few stores when the one being loaded met a shortage, so that the next ones
// need not ask. It reports whether any was parked.
func (r *Registry) parkOthers(loading *store, cause error) (any bool) {
	r.noteShortage(cause)
	for range maxAttempts {
		if s, before := leastUsed(r.someLoaded(loading)); s != nil && s.park(before) {
			any = true
		}
	}
	if any {
		return true
	}
	others := slices.DeleteFunc(r.loadedStores(), func(s *store) bool { return s == loading })
	s, before := leastUsed(others) // if any can be parked, one is
	return s != nil && s.park(before)
}

// noteShortage logs that the system is short of something, once a minute.
func (r *Registry) noteShortage(cause error) {
	now, until := int64(clock.Steady(r.clock)), r.quietUntil.Load()
	if now >= until && r.quietUntil.CompareAndSwap(until, now+int64(time.Minute)) {
		r.logger.Warn("too few descriptors or too little memory; queues are parked for each other, "+
			"which costs time; raise the limits (ulimit -n, ulimit -v)", "error", cause)
	}
}

func (r *Registry) countLoaded() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.loaded)
}

// someLoaded returns a random few of the other loaded stores.
func (r *Registry) someLoaded(but *store) (some []*store) {
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

// Busy names the queues that have open files, in order. After Close has begun, these are the queues
// that it still waits for.
func (r *Registry) Busy() (names []string) {
	for _, s := range r.loadedStores() {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return names
}

// leastUsed returns the least recently used of the stores that nobody needs, and the tick before
// which it was used.
func leastUsed(stores []*store) (least *store, before uint64) {
	before = math.MaxUint64
	for _, s := range stores {
		s.mu.Lock()
		if s.loadedLocked() && !s.busyLocked() && s.lastUse < before {
			least, before = s, s.lastUse
		}
		s.mu.Unlock()
	}
	return least, before + 1
}

// anyUnneeded is leastUsed that does not choose.
func anyUnneeded(stores []*store) (s *store, before uint64) {
	for i := range stores {
		if s, before = leastUsed(stores[i : i+1]); s != nil {
			break
		}
	}
	return s, before
}

// closeAll closes several logs at once: they share the syncs of the disk.
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
