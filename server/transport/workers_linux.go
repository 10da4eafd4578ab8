package transport

// Workers do the jobs that may wait for the disk, for all connections of all loops. There are as
// many goroutines as jobs, up to a bound, because each one that waits takes a thread of the system.

import "sync"

const (
	// maxWorkers is more than a disk does at once, and few enough threads for a small machine.
	maxWorkers = 64
	// maxStreamers bounds the workers that move bodies of large items: they compete with the loops
	// for processors.
	maxStreamers = 2
)

type workers struct {
	max int

	mu      sync.Mutex
	waiting []*epollConn // those whose jobs no worker has taken
	running int
}

func newWorkers(n int) *workers { return &workers{max: n} }

// do has a worker do the job of a connection, and then call the connection's done.
func (w *workers) do(c *epollConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == w.max {
		w.waiting = append(w.waiting, c)
		return
	}
	w.running++
	go w.run(c) // until there are no jobs; one that the disk holds up outlives the server
}

// run does jobs as long as there are any.
func (w *workers) run(c *epollConn) {
	for c != nil {
		c.job()
		c.done()
		c = w.next()
	}
}

func (w *workers) next() *epollConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		w.running--
		w.waiting = nil
		return nil
	}
	c := w.waiting[0]
	w.waiting[0] = nil
	w.waiting = w.waiting[1:]
	return c
}
