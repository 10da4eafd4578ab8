package queue

// The sweeper cleans up queues that nobody uses: it drops what has expired at their heads, and
// gives back disk that they hold for nothing. It is one goroutine, and does a little at a time.
//
// After the start it reads the figures of every queue once. It loads the queues that hold space for
// nothing, as a crash may leave them, and those whose head has expired, cleans them up and parks
// them again. From then on it looks at loaded queues that were used since its last round, and at
// parked ones when their heads expire. While nothing is loaded and nothing expires, it does not
// wake.

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/wal/clock"
)

const (
	// idleRound is the time between two rounds while queues are loaded and nobody uses them.
	idleRound = 5 * sweepEvery

	// maxRound is the longest time until something that is due is looked for: clocks may be set.
	maxRound = 30 * sweepEvery

	// parkedTime is how long one round cleans up parked queues. The next round does the others.
	parkedTime = time.Second

	// retryLater is how long after a queue that is due could not be loaded it is tried again.
	retryLater = time.Minute
)

const (
	dueNow = 1             // a time that is past
	never  = math.MaxInt64 // a time that does not come
)

type sweeper struct {
	*task
	r     *Registry
	alarm *clock.Alarm

	last  uint64        // Registry.tick at the last round
	began time.Duration // steady time when work began after the last pause
	due   atomic.Int64  // Unix ms; no later than the first parked queue is due

	mu      sync.Mutex    // a leaf
	rounded time.Duration // steady time of the last round
	rings   time.Duration // steady time for which the alarm is set; never: it is not
}

// startSweeper gives the registry its sweeper.
func startSweeper(r *Registry) {
	s := &sweeper{r: r, alarm: clock.NewAlarm(r.clock), rings: never}
	s.due.Store(never)
	r.sweeper = s
	s.task = startTask(s.run)
}

func (s *sweeper) run(ctx context.Context) {
	defer s.alarm.Stop()
	select {
	case <-s.r.walker.done: // it lists the directories anyway, and disk_bytes waits for it
	case <-ctx.Done():
		return
	}
	s.readAll(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.alarm.C:
			s.round(ctx)
		}
	}
}

// readAll reads the figures of every queue. Rounds that come due meanwhile are done in between.
func (s *sweeper) readAll(ctx context.Context) {
	s.began = clock.Steady(s.r.clock)
	for _, of := range s.r.all() {
		if !s.pace(ctx) {
			return
		}
		select {
		case <-s.alarm.C:
			s.round(ctx)
		default:
		}
		_ = of.readFigures() // an error comes again for whoever loads the queue
	}
	s.schedule(false)
}

// pace is called between two small pieces of work. Now and then it waits for as long as they took,
// which leaves as much time to others. It is false when ctx has ended.
func (s *sweeper) pace(ctx context.Context) bool {
	const work = 5 * time.Millisecond
	worked := clock.Steady(s.r.clock) - s.began
	if worked < work {
		return ctx.Err() == nil
	}
	if !clock.Wait(s.r.clock, min(worked, time.Second), ctx.Done()) {
		return false
	}
	s.began = clock.Steady(s.r.clock)
	return true
}

// round cleans up the loaded queues, then the parked ones that are due.
func (s *sweeper) round(ctx context.Context) {
	s.began = clock.Steady(s.r.clock)
	s.mu.Lock()
	s.rounded, s.rings = s.began, never
	s.mu.Unlock()
	now, since := s.r.eras.now(), s.last
	s.last = s.r.tick.Add(1)
	busy, next := false, int64(never)
	for _, of := range s.r.loadedStores() {
		used, due := of.usedOrDue(since, now)
		busy = busy || used
		if used || due {
			of.dropExpired(ctx, s)
			of.deleteAged(since)
		}
		next = min(next, of.loadedDue())
		if !s.pace(ctx) {
			return
		}
	}
	if s.due.Load() <= now {
		s.sweepParked(ctx, now)
	}
	s.schedule(busy)
	if next != never {
		s.comeBy(next)
	}
}

// sweepParked cleans up parked queues that are due, and finds out when the next one is.
func (s *sweeper) sweepParked(ctx context.Context, now int64) {
	s.due.Store(never)
	until := clock.Steady(s.r.clock) + parkedTime
	for _, of := range s.r.all() {
		due := of.parkedDue()
		if due <= now && clock.Steady(s.r.clock) < until {
			if !s.pace(ctx) {
				return
			}
			of.sweep(ctx, s)
			of.deleteAged(s.r.tick.Add(1))
			due = of.parkedDue()
		}
		s.lowerDue(due)
	}
}

// noteParked notes when a queue that was parked is due.
func (s *sweeper) noteParked(due int64) {
	if s.lowerDue(due) {
		s.setAlarm(sweepEvery) // the round after it sets the right time
	}
}

// lowerDue notes that a parked queue is due at a time. It is false when another is due before.
func (s *sweeper) lowerDue(due int64) bool {
	for {
		was := s.due.Load()
		if due >= was {
			return false
		}
		if s.due.CompareAndSwap(was, due) {
			return true
		}
	}
}

// schedule sets the alarm for the next round, if there is anything to do. busy says that a loaded
// queue is in use.
func (s *sweeper) schedule(busy bool) {
	wait := time.Duration(never)
	if due := s.due.Load(); due != never {
		left := min(due-s.r.eras.now(), maxRound.Milliseconds())
		wait = max(sweepEvery, time.Duration(left)*time.Millisecond)
	}
	s.r.mu.Lock() // a queue that is loaded from here on sets the alarm anew
	defer s.r.mu.Unlock()
	switch {
	case len(s.r.loaded) > 0 && busy:
		wait = min(wait, sweepEvery)
	case len(s.r.loaded) > 0:
		wait = min(wait, idleRound)
	}
	if wait != never {
		s.setAlarm(wait)
	}
}

// setAlarm has a round begin after some time, unless one begins before.
func (s *sweeper) setAlarm(wait time.Duration) {
	now := clock.Steady(s.r.clock)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := now + wait; at < s.rings {
		s.rings = at
		s.alarm.Set(wait)
	}
}

// comeBy has a round begin when something in a loaded queue is due, at a time of Unix ms. Two
// rounds have some time between them.
func (s *sweeper) comeBy(due int64) {
	wait := time.Duration(max(0, due-s.r.eras.now())) * time.Millisecond
	s.mu.Lock()
	gap := s.rounded + expiryGap - clock.Steady(s.r.clock)
	s.mu.Unlock()
	s.setAlarm(max(wait, gap))
}

// loadedDue is when a loaded store is to be cleaned up, in Unix ms; never while it is parked.
func (s *store) loadedDue() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == nil {
		return never
	}
	return s.dueLocked()
}

// parkedDue is when a parked store is to be cleaned up, in Unix ms; never while it is loaded.
func (s *store) parkedDue() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log != nil || !s.exists {
		return never
	}
	return s.dueLocked()
}

// dueLocked is when the first of the queues is to be cleaned up, in Unix ms; never if none is.
func (s *store) dueLocked() int64 {
	first := int64(never)
	for q := range s.queuesLocked() {
		if q.due != 0 {
			first = min(first, q.due)
		}
	}
	return first
}

// usedOrDue reports whether a loaded store was used since a tick, and whether a head of it has
// expired as far as is known.
func (s *store) usedOrDue(since uint64, now int64) (used, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log != nil && s.lastUse >= since, s.log != nil && s.dueLocked() <= now
}

// dropExpired drops what has expired in all queues, a slice at a time, and notes when the next
// items expire.
func (s *store) dropExpired(ctx context.Context, by *sweeper) {
	most := s.settings().MaxExpireSweep
	for _, q := range s.allQueues() {
		if most == 0 { // else it is counted what goes
			q.dropExpired(ctx, by)
		}
		n, err := q.trySweep(ctx, by, most)
		if err != nil {
			s.logger().Warn("cannot look for expired items", "queue", q.Name(), "error", err)
		}
		if most == 0 || n < most { // else it is due, and the next round goes on
			q.noteDue()
		}
	}
}

// trySweep is sweepExpired, unless somebody else does it: other queues do not wait for that.
func (q *Queue) trySweep(ctx context.Context, by *sweeper, most int) (n int, err error) {
	if !q.sweeping.TryLock() {
		return 0, nil
	}
	defer q.sweeping.Unlock()
	return q.sweepExpired(ctx, by.pace, most)
}

// noteDue notes when the queue is to be cleaned up next.
func (q *Queue) noteDue() {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if q.store.loadedLocked() && q.waiters.first == nil {
		q.peekHeadLocked()
	}
}

func (q *Queue) dropExpired(ctx context.Context, by *sweeper) {
	for again := true; again && by.pace(ctx); {
		q.store.mu.Lock()
		if !q.store.loadedLocked() || q.waiters.first != nil { // clients wait, so no item does
			q.store.mu.Unlock()
			return
		}
		_, again = q.peekHeadLocked()
		q.store.mu.Unlock()
		if again {
			q.waitReady()
			again = q.takeSkipErr() == nil
		}
	}
}

// takeSkipErr takes the error that ended the skipping which waitReady waited for: no reader is to
// get it later.
func (q *Queue) takeSkipErr() (err error) {
	s := q.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err = q.takeSkipErrLocked(); err != nil {
		q.due = s.reg.eras.now() + retryLater.Milliseconds()
	}
	return err
}

// sweep loads a parked store, drops what has expired, gives back space that it holds for nothing,
// and parks it again unless somebody uses it by then.
func (s *store) sweep(ctx context.Context, by *sweeper) {
	s.pin()
	err := s.load(false)
	before := s.reg.tick.Add(1)
	if err == nil {
		s.dropExpired(ctx, by)
		s.slim(ctx)
	}
	s.mu.Lock()
	s.pins--
	if err != nil { // which is logged
		s.own.due = s.reg.eras.now() + retryLater.Milliseconds()
		for _, q := range s.others {
			q.due = s.own.due
		}
	}
	s.mu.Unlock()
	s.park(before)
}

// slim gives back the space that a loaded store holds for nothing, if the store is empty or nearly
// so. It waits for the disk.
func (s *store) slim(ctx context.Context) {
	s.mu.Lock()
	l := s.log
	s.mu.Unlock()
	if l != nil {
		l.Slim(ctx)
	}
}

// slimIdle is slim of a store that nobody has used since a tick.
func (s *store) slimIdle(ctx context.Context, before uint64) {
	s.mu.Lock()
	if s.log == nil || s.lastUse >= before {
		s.mu.Unlock()
		return
	}
	s.pins++
	s.mu.Unlock()
	defer s.unpin()
	s.slim(ctx)
}
