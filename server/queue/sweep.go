package queue

// The sweeper sees to queues that nobody uses: what has expired at their heads leaves, and disk that they hold in
// vain comes back. It is one goroutine, and does a little at a time.
//
// After the start it looks at the files of every queue once, loads those that hold something in vain, as a crash
// may leave it, or whose head has expired, and parks them again. From then on it looks at loaded queues that
// were used since it last did, and at parked ones when their heads expire. A server in which nothing is loaded
// and nothing expires does not wake it.

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// sweepLate and sweepMost are in terms of Options.Sweep the time between two rounds while queues are loaded and
	// nobody uses them, and the longest time until something that is due is looked for: clocks may be set.
	sweepLate = 5
	sweepMost = 30

	// tendFor is how long parked queues that are due are seen to in one round; the others' turn is the next.
	tendFor = time.Second

	// dueAgain is how long after it could not be loaded a queue that is due is tried again.
	dueAgain = time.Minute
)

// atOnce is a time that is past, for a queue to be seen to as soon as may be.
const atOnce = 1

type sweeper struct {
	r     *Registry
	timer *time.Timer
	quit  chan struct{}
	done  chan struct{}

	last  uint64       // the registry's clock at the last round
	began time.Time    // when work began after the last pause
	due   atomic.Int64 // Unix ms, no later than the first parked queue is due
}

const never = math.MaxInt64

// startSweeper gives the registry its sweeper.
func startSweeper(r *Registry) {
	s := &sweeper{r: r, timer: time.NewTimer(time.Hour), quit: make(chan struct{}), done: make(chan struct{})}
	s.timer.Stop()
	s.due.Store(never)
	r.sweeper = s
	go s.run()
}

func (s *sweeper) stop() {
	close(s.quit)
	<-s.done
	s.timer.Stop()
}

func (s *sweeper) stopped() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

func (s *sweeper) run() {
	defer close(s.done)
	select {
	case <-s.r.walker.done: // it lists the directories anyway, and disk_bytes waits for it
	case <-s.quit:
		return
	}
	s.lookAtAll()
	for {
		select {
		case <-s.quit:
			return
		case <-s.timer.C:
			s.round()
		}
	}
}

// lookAtAll looks at every queue that there is; rounds come in between, which see to what is due.
func (s *sweeper) lookAtAll() {
	s.began = time.Now()
	for _, of := range s.r.all() {
		if !s.pause() {
			return
		}
		select {
		case <-s.timer.C:
			s.round()
		default:
		}
		_ = of.look() // whoever loads it is told
	}
	s.plan(false)
}

// pause is called between two small pieces of work: now and then it waits for as long as they took, so that there
// is as much for others. It is false when the registry is closed.
func (s *sweeper) pause() bool {
	const work = 5 * time.Millisecond
	worked := time.Since(s.began)
	if worked < work {
		return !s.stopped()
	}
	select {
	case <-s.quit:
		return false
	case <-time.After(min(worked, time.Second)):
	}
	s.began = time.Now()
	return true
}

// round looks at the loaded queues, then at the parked ones that are due.
func (s *sweeper) round() {
	s.began = time.Now()
	now, since := s.r.o.Clock.Now(), s.last
	s.last = s.r.clock.Add(1)
	busy := false
	for _, of := range s.r.loadedNow() {
		used, due := of.usedOrDue(since, now)
		busy = busy || used
		if used || due {
			of.dropExpired(s)
		}
		if !s.pause() {
			return
		}
	}
	if s.due.Load() <= now {
		s.tendParked(now)
	}
	s.plan(busy)
}

// tendParked sees to parked queues that are due, and finds out when the next one is.
func (s *sweeper) tendParked(now int64) {
	s.due.Store(never)
	until := time.Now().Add(tendFor)
	for _, of := range s.r.all() {
		due := of.parkedDue()
		if due <= now && time.Now().Before(until) {
			if !s.pause() {
				return
			}
			of.tend(s)
			due = of.parkedDue()
		}
		s.lower(due)
	}
}

// expect notes that a parked queue is due at a time.
func (s *sweeper) expect(due int64) {
	if s.lower(due) {
		s.timer.Reset(s.r.o.Sweep) // the round after it sets the right time
	}
}

// lower notes that the first parked queue is due at a time or earlier; false when that is known.
func (s *sweeper) lower(due int64) bool {
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

// plan sets the timer for the next round, if there is to be one.
func (s *sweeper) plan(busy bool) {
	every, wait := s.r.o.Sweep, time.Duration(never)
	if due := s.due.Load(); due != never {
		left := min(due-s.r.o.Clock.Now(), (sweepMost * every).Milliseconds())
		wait = max(every, time.Duration(left)*time.Millisecond)
	}
	s.r.mu.Lock() // a queue that is loaded from here on sets it anew
	defer s.r.mu.Unlock()
	switch {
	case len(s.r.loaded) > 0 && busy:
		wait = min(wait, every)
	case len(s.r.loaded) > 0:
		wait = min(wait, sweepLate*every)
	}
	if wait != never {
		s.timer.Reset(wait)
	}
}

// parkedDue is when a parked store is to be seen to, Unix ms; never when it is loaded.
func (s *store) parkedDue() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log != nil || !s.exists {
		return never
	}
	return s.due()
}

// due is when the first of the queues is to be seen to, Unix ms; never when none is. Store.mu is held.
func (s *store) due() int64 {
	first := int64(never)
	for q := range s.queues() {
		if q.due != 0 {
			first = min(first, q.due)
		}
	}
	return first
}

// usedOrDue tells of a loaded store whether it was used since the registry's clock stood at since, and whether a
// head has expired for all that is known.
func (s *store) usedOrDue(since uint64, now int64) (used, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log != nil && s.used >= since, s.log != nil && s.due() <= now
}

// dropExpired drops what has expired at the heads, a slice at a time, and notes when they expire.
func (s *store) dropExpired(by *sweeper) {
	for _, q := range s.queuesNow() {
		q.dropExpired(by)
	}
}

func (q *Queue) dropExpired(by *sweeper) {
	for again := true; again && by.pause(); {
		q.store.mu.Lock()
		if q.store.log == nil || q.line.first != nil { // then nothing waits
			q.store.mu.Unlock()
			return
		}
		_, again = q.peekHead()
		q.store.mu.Unlock()
		if again {
			q.ready()
			again = q.skipped() == nil
		}
	}
}

// skipped takes what ended the passing over that ready has waited for: no reader is to be told of it later.
func (q *Queue) skipped() (err error) {
	s := q.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err, q.skip.err = q.skip.err, nil; err != nil {
		q.due = s.reg.o.Clock.Now() + dueAgain.Milliseconds()
	}
	return err
}

// tend loads a parked store, has what expired dropped and what it holds in vain given back, and parks it again
// unless somebody uses it by then.
func (s *store) tend(by *sweeper) {
	s.want()
	err := s.load(false)
	mark := s.reg.clock.Add(1)
	if err == nil {
		s.dropExpired(by)
		s.slim(by.quit)
	}
	s.mu.Lock()
	s.wanted--
	if err != nil { // which is logged
		s.own.due = s.reg.o.Clock.Now() + dueAgain.Milliseconds()
		for _, q := range s.others {
			q.due = s.own.due
		}
	}
	s.mu.Unlock()
	s.park(mark)
}

// slim gives back what a loaded store holds in vain, if it is empty or nearly so. It waits for the disk.
func (s *store) slim(quit <-chan struct{}) {
	s.mu.Lock()
	l := s.log
	s.mu.Unlock()
	if l != nil {
		l.Slim(quit)
	}
}

// slimIdle is slim of a store that nobody used since the registry's clock stood at before.
func (s *store) slimIdle(before uint64, quit <-chan struct{}) {
	s.mu.Lock()
	if s.log == nil || s.used >= before {
		s.mu.Unlock()
		return
	}
	s.wanted++
	s.mu.Unlock()
	defer s.unwant()
	s.slim(quit)
}
