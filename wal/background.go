package wal

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/wal/clock"
)

// Background does the slow work of any number of logs, so that no caller of Append, Next or Take
// waits for the disk. It has three lanes, each one goroutine: one prepares what will be needed
// next, another seals and deletes, and the third compacts, at a rate that leaves the disk to
// others. It also syncs them, a few at once or, when they are many, all together.
type Background struct {
	prepareLane lane
	cleanupLane lane
	compactLane lane
	appendPool  pool // what appends wait for
	readPool    pool // what readers wait for
	pace        pacer
	reserve     reserve
	syncs       syncer
	done        atomic.Uint64 // syncs of all logs
	closing     chan struct{}
}

// NewBackground starts one. Close it after the logs that use it. Compaction reads and writes at
// most rate bytes a second; 0 is 32 MiB, negative no bound. It goes by a clock; nil is the machine's.
func NewBackground(rate int64, c clock.Clock) *Background {
	if rate == 0 {
		rate = defaultCompactRate
	}
	b := &Background{pace: pacer{clock: clock.Or(c), rate: rate}, closing: make(chan struct{})}
	b.syncs.shareFrom = shareFrom
	for _, n := range b.lanes() {
		n.start()
	}
	return b
}

func (b *Background) lanes() []*lane { return []*lane{&b.prepareLane, &b.cleanupLane, &b.compactLane} }

// Hold keeps the lanes from any further job, once the ones under way are done. step then does what
// waits, and what that leads to, on the caller's goroutine; release lets the lanes go on. What an append
// or a reader waits for, and syncs, are done as ever. For tests, and for who wants to say when.
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

// Syncs is how many syncs the logs have had.
func (b *Background) Syncs() uint64 { return b.done.Load() }

// Close stops the goroutines once what is under way is done.
func (b *Background) Close() {
	close(b.closing)
	for _, n := range b.lanes() {
		n.stop()
	}
	b.syncs.close()
}

// pacer spreads work out over time.
type pacer struct {
	clock clock.Clock
	rate  int64         // bytes a second; no bound if not positive
	free  time.Duration // steady time when what was done so far would be done at that rate
}

// wait returns when n more bytes may be read or written, or done is closed. It is for one goroutine.
func (p *pacer) wait(n int, done <-chan struct{}) {
	if p.rate <= 0 {
		return
	}
	const slack = 10 * time.Millisecond // less is not worth a timer
	now := clock.Steady(p.clock)
	p.free = max(p.free, now) + time.Duration(float64(n)/float64(p.rate)*float64(time.Second))
	if ahead := p.free - now; ahead > slack {
		clock.Wait(p.clock, ahead, done)
	}
}

// lane runs jobs in the order they came, one at a time. Logs ask for work by kind and at most
// once at a time, so its list is bounded by the number of logs.
type lane struct {
	mu     sync.Mutex
	cond   *sync.Cond // a job came, one is done, or it is to stop
	jobs   []func()
	busy   bool // a job is under way
	held   bool // it takes none
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

// next waits for a job, and returns nil when there will be none.
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

// take returns the next job at once, nil when there is none.
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

// hold returns when no job is under way, and none will be until release.
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

// stop returns when what was asked for is done; a lane that is held leaves it undone.
func (n *lane) stop() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cond.Broadcast()
	<-n.done
}

// pool runs jobs that may wait for the disk, a bounded number at a time, as each takes a thread of the system.
type pool struct {
	mu      sync.Mutex // a leaf
	waiting []func()
	running int
}

const poolSize = 16

// do has a job done. It does not block.
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
