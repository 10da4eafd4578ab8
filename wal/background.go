package wal

import (
	"sync"
	"sync/atomic"
	"time"
)

// Background does the slow work of any number of logs, so that no caller of Append, Next or Take
// waits for the disk. It has three lanes, each one goroutine: one prepares what will be needed
// next, another seals and deletes, and the third compacts, at a rate that leaves the disk to
// others. It also syncs them, a few at once or, when they are many, all together.
type Background struct {
	soon    lane
	later   lane
	compact lane
	urgent  pool // what appends wait for
	reads   pool // what readers wait for
	pace    pacer
	reserve reserve
	syncs   syncer
	done    atomic.Uint64 // syncs of all logs
}

// NewBackground starts one. Close it after the logs that use it. Compaction reads and writes at
// most rate bytes a second; 0 is 32 MiB, negative no bound.
func NewBackground(rate int64) *Background {
	if rate == 0 {
		rate = defaultCompactRate
	}
	b := &Background{pace: pacer{rate: rate, quit: make(chan struct{})}}
	b.syncs.togetherFrom = togetherFrom
	b.soon.start()
	b.later.start()
	b.compact.start()
	return b
}

// Syncs is how many syncs the logs have had.
func (b *Background) Syncs() uint64 { return b.done.Load() }

// Close stops the goroutines once what is under way is done.
func (b *Background) Close() {
	close(b.pace.quit)
	b.soon.stop()
	b.later.stop()
	b.compact.stop()
	b.syncs.close()
}

// pacer spreads work out over time.
type pacer struct {
	rate int64     // bytes a second; no bound if not positive
	free time.Time // when what was done so far would be done at that rate
	quit chan struct{}
}

// wait returns when n more bytes may be read or written. It is for one goroutine.
func (p *pacer) wait(n int) {
	if p.rate <= 0 {
		return
	}
	const slack = 10 * time.Millisecond // less is not worth a timer
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	if ahead := p.free.Sub(now); ahead > slack {
		select {
		case <-time.After(ahead):
		case <-p.quit:
		}
	}
}

// lane runs jobs in the order they came, one at a time. Logs ask for work by kind and at most
// once at a time, so its list is bounded by the number of logs.
type lane struct {
	mu     sync.Mutex
	cond   *sync.Cond
	jobs   []func()
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
	n.cond.Signal()
}

func (n *lane) run() {
	defer close(n.done)
	for {
		n.mu.Lock()
		for len(n.jobs) == 0 && !n.closed {
			n.cond.Wait()
		}
		if len(n.jobs) == 0 {
			n.mu.Unlock()
			return
		}
		jobs := n.jobs
		n.jobs = nil
		n.mu.Unlock()
		for _, job := range jobs {
			job()
		}
	}
}

func (n *lane) stop() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cond.Signal()
	<-n.done
}
