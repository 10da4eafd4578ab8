package wal

import (
	"sync"
	"sync/atomic"
)

// Background does the slow work of any number of logs, so that no caller of Append, Next or Take
// waits for the disk. It has two lanes, each one goroutine: one prepares what will be needed
// next, the other seals, deletes and rewrites. It also bounds how many logs sync at once.
type Background struct {
	soon  lane
	later lane
	syncs chan struct{} // a place for each sync under way
	done  atomic.Uint64 // syncs of all logs
}

// syncsAtOnce is enough for a journalling file system to commit many logs together, and few
// enough that 10,000 logs do not take 10,000 threads.
const syncsAtOnce = 16

// NewBackground starts one. Close it after the logs that use it.
func NewBackground() *Background {
	b := &Background{syncs: make(chan struct{}, syncsAtOnce)}
	b.soon.start()
	b.later.start()
	return b
}

// Syncs is how many syncs the logs have had.
func (b *Background) Syncs() uint64 { return b.done.Load() }

// Close stops the goroutines once what is under way is done.
func (b *Background) Close() {
	b.soon.stop()
	b.later.stop()
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
