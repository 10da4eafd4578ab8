package wal

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/wal/clock"
)

// Background does the slow work of any number of logs, so that no caller of Append, Next or Take
// waits for the disk. It has three lanes of one goroutine each: the first prepares what is needed
// next, the second seals and deletes, the third compacts at a bounded rate. It also syncs the logs:
// a few at a time or, when many want it, all with one sync of their file system.
type Background struct {
	prepareLane lane
	cleanupLane lane
	compactLane lane
	appendPool  pool // what appends wait for
	readPool    pool // what readers wait for
	pace        pacer
	reserve     reserve
	reuse       reuse
	bodies      openBodies
	syncs       syncer
	done        atomic.Uint64 // syncs of all logs
	closing     chan struct{}
}

// NewBackground starts a background. Close it after the logs that use it. Compaction reads and
// writes at most rate bytes a second; 0 means 32 MiB, a negative rate no bound. A nil clock is the
// machine's.
func NewBackground(rate int64, c clock.Clock) *Background {
	if rate == 0 {
		rate = defaultCompactRate
	}
	b := &Background{pace: pacer{clock: clock.Or(c), rate: rate}, closing: make(chan struct{})}
	b.syncs.shareFrom = shareFrom
	b.KeepForReuse(math.MaxInt64)
	for _, n := range b.lanes() {
		n.start()
	}
	return b
}

func (b *Background) lanes() []*lane {
	return []*lane{&b.prepareLane, &b.cleanupLane, &b.compactLane}
}

// Hold waits for the jobs under way and keeps the lanes from starting others. step then runs all
// waiting jobs, and those that they ask for, on the caller's goroutine. release lets the lanes go
// on. Syncs, and what an append or a reader waits for, are not held. Hold is for tests and for
// callers that choose the time for slow work.
func (b *Background) Hold() (step, release func()) {
	for _, n := range b.lanes() {
		n.hold()
	}
	step = func() {
		for busy := true; busy; {
			busy = false
			for _, n := range b.lanes() {
				for job := n.take(); job != nil; job = n.take() {
					job()
					busy = true
				}
			}
		}
	}
	return step, func() {
		for _, n := range b.lanes() {
			n.release()
		}
	}
}

// Syncs is the number of syncs that the logs have had.
func (b *Background) Syncs() uint64 { return b.done.Load() }

// Close stops the goroutines when the jobs that were asked for are done.
func (b *Background) Close() {
	close(b.closing)
	for _, n := range b.lanes() {
		n.stop()
	}
	b.syncs.close()
}

// pacer bounds how much is read and written in a second.
type pacer struct {
	clock clock.Clock
	rate  int64         // bytes a second; no bound if not positive
	free  time.Duration // steady time from which more may be done
}

// wait returns when n more bytes may be read or written, or when done is closed. One goroutine may
// call it.
func (p *pacer) wait(n int, done <-chan struct{}) {
	if p.rate <= 0 {
		return
	}
	const slack = 10 * time.Millisecond // a shorter wait is not worth a timer
	now := clock.Steady(p.clock)
	p.free = max(p.free, now) + time.Duration(float64(n)/float64(p.rate)*float64(time.Second))
	if ahead := p.free - now; ahead > slack {
		clock.Wait(p.clock, ahead, done)
	}
}

// lane runs jobs one at a time, in the order they came. Each log asks for one job of a kind at a
// time, so the list is bounded by the number of logs.
type lane struct {
	mu     sync.Mutex
	cond   *sync.Cond // signalled when any field below changes
	jobs   []func()
	busy   bool // the goroutine runs a job
	held   bool // the goroutine starts no job
	closed bool
	done   chan struct{}
}

func (n *lane) start() {
	n.cond = sync.NewCond(&n.mu)
	n.done = make(chan struct{})
	go n.run()
}

func (n *lane) push(job func()) {
	n.mu.Lock()
	n.jobs = append(n.jobs, job)
	n.mu.Unlock()
	n.cond.Broadcast()
}

func (n *lane) run() {
	defer close(n.done)
	for job := n.next(); job != nil; job = n.next() {
		job()
	}
}

// next waits for a job. It returns nil when the lane is closed.
func (n *lane) next() (job func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.busy = false
	n.cond.Broadcast()
	for !n.closed && (n.held || len(n.jobs) == 0) {
		n.cond.Wait()
	}
	if n.held {
		return nil
	}
	job = n.takeLocked()
	n.busy = job != nil
	return job
}

// take returns the next job without waiting; nil if there is none.
func (n *lane) take() (job func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.takeLocked()
}

func (n *lane) takeLocked() (job func()) {
	if len(n.jobs) == 0 {
		n.jobs = nil
		return nil
	}
	job = n.jobs[0]
	n.jobs[0] = nil
	n.jobs = n.jobs[1:]
	return job
}

// hold returns when no job runs. None starts until release.
func (n *lane) hold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = true
	for n.busy {
		n.cond.Wait()
	}
}

func (n *lane) release() {
	n.mu.Lock()
	n.held = false
	n.mu.Unlock()
	n.cond.Broadcast()
}

// stop returns when all jobs are done. A lane that is held leaves them undone.
func (n *lane) stop() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cond.Broadcast()
	<-n.done
}

// pool runs jobs that may wait for the disk. It bounds how many run at a time, because each takes a
// thread.
type pool struct {
	mu      sync.Mutex // taken last
	waiting []func()
	running int
}

const poolSize = 16

// do has a job run. It does not block.
func (p *pool) do(job func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, job)
	if p.running < poolSize {
		p.running++
		go p.run()
	}
}

func (p *pool) run() {
	for job := p.next(); job != nil; job = p.next() {
		job()
	}
}

func (p *pool) next() (job func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.running--
		p.waiting = nil
		return nil
	}
	job = p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	return job
}
