package transport

// Who does the jobs that may wait for the disk, of all connections of all loops: as many goroutines as
// there are jobs, up to a bound, as each that waits takes a thread of the system.

import "sync"

const (
	// mostWorkers is more than a disk does at once, and few enough threads for a small machine.
	mostWorkers = 64
	// mostStreamers move bodies of large items, which takes processors as well: the loop's threads have to
	// share them with no more of these.
	mostStreamers = 2
)

type workers struct {
	most int

	mu      sync.Mutex
	waiting []*epollConn // whose jobs nobody has taken
	running int
}

func newWorkers(most int) *workers { return &workers{most: most} }

// do has the job of a connection done, and the connection told.
func (w *workers) do(c *epollConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == w.most {
		w.waiting = append(w.waiting, c)
		return
	}
	w.running++
	go w.run(c)
}

// run does jobs for as long as there are any.
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
