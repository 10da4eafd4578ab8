package transport

// The time as sessions know it: they ask for it at every request, so it is kept in memory, as of
// when a transport last waited.

import (
	"sync/atomic"
	"time"

	"github.com/darner/darner/wal/clock"
)

// CoarseClock is a clock as of when any transport last looked at it, in whole milliseconds. It has
// the time of day, which is stored with items, and the steady time, by which everything waits. Any
// goroutine may ask it.
type CoarseClock struct {
	exact  clock.Clock
	look   func(day time.Time, steady time.Duration) // see NewCoarseClock
	now    atomic.Int64
	steady atomic.Int64
}

// NewCoarseClock returns a clock over c. Whenever it looks at c it calls look, unless that is nil,
// with what c.Now returned. look may be called from any goroutine and must not block.
func NewCoarseClock(c clock.Clock, look func(day time.Time, steady time.Duration)) *CoarseClock {
	coarse := &CoarseClock{exact: c, look: look}
	coarse.tick()
	return coarse
}

// Now is the time of day in Unix milliseconds.
func (c *CoarseClock) Now() int64 { return c.now.Load() }

// Steady is the steady time in milliseconds, plus one: it is never 0, which stands for no time. A
// session's Deadline is such a time.
func (c *CoarseClock) Steady() int64 { return c.steady.Load() }

// tick looks at the exact clock, and returns the steady time.
func (c *CoarseClock) tick() int64 {
	day, steady := c.exact.Now()
	if c.look != nil {
		c.look(day, steady)
	}
	ms := steady.Milliseconds() + 1
	store(&c.now, day.UnixMilli())
	store(&c.steady, ms)
	return ms
}

// store stores n if it is new: many goroutines may read it.
func store(to *atomic.Int64, n int64) {
	if to.Load() != n {
		to.Store(n)
	}
}

// until is how long it takes, by the exact clock, until Steady is ms; not positive if it was.
func (c *CoarseClock) until(ms int64) time.Duration {
	return time.Duration(ms-1)*time.Millisecond - clock.Steady(c.exact)
}
