package queue

// Which queues hold open logs, and how many may.

import (
	"errors"
	"math"
	"sync"
)

// enlist enters a queue that is about to open its log; false when the registry is closed.
func (r *Registry) enlist(q *Queue) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if len(r.loaded) == 0 {
		r.janitor.timer.Reset(r.period())
	}
	r.loaded[q] = struct{}{}
	return true
}

func (r *Registry) delist(q *Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.loaded, q)
}

func (r *Registry) loadedNow() []*Queue {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*Queue, 0, len(r.loaded))
	for q := range r.loaded {
		all = append(all, q)
	}
	return all
}

// makeRoom parks another queue than the one just loaded if too many are: the least recently used
// of a random few, which is nearly as good as of all.
func (r *Registry) makeRoom(loaded *Queue) {
	const tries = 4
	for range tries {
		if q, before := oldest(r.crowd(loaded)); q == nil || q.park(before) {
			return
		}
	}
}

// crowd returns a random few of the other loaded queues if there are too many.
func (r *Registry) crowd(but *Queue) (some []*Queue) {
	const few = 16
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.loaded) <= r.o.MaxLoaded {
		return nil
	}
	for q := range r.loaded { // begins anywhere
		if q != but {
			some = append(some, q)
		}
		if len(some) == few {
			break
		}
	}
	return some
}

// oldest returns the least recently used of the queues that nobody needs, and the clock before
// which it was used.
func oldest(queues []*Queue) (least *Queue, before uint64) {
	before = math.MaxUint64
	for _, q := range queues {
		q.mu.Lock()
		if q.log != nil && !q.busy() && q.used < before {
			least, before = q, q.used
		}
		q.mu.Unlock()
	}
	return least, before + 1
}

// closeAll closes logs side by side: their syncs share the disk's.
func closeAll(queues []*Queue) error {
	const atOnce = 16
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		errs    []error
	)
	work := make(chan *Queue)
	for range atOnce {
		workers.Go(func() {
			for q := range work {
				err := q.close()
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, q := range queues {
		work <- q
	}
	close(work)
	workers.Wait()
	return errors.Join(errs...)
}
