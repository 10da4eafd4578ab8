package transport

// The time as sessions know it, which is asked for at every request and looked at by the transports when
// they have waited.

import (
	"sync/atomic"
	"time"
)

// Clock tells the time of day and a steady time, by which everything is timed that waits: whatever the time
// of day is set to, by hand or from the network, waits last as long as they should. Both are as of when any
// transport looked last, and may be asked for by any goroutine.
type Clock struct {
	began  time.Time
	look   func(moment time.Time) // see NewClock
	now    atomic.Int64
	steady atomic.Int64
}

// NewClock returns a clock that tells look, unless it is nil, the time whenever it looks at the machine's.
// look may be called from any goroutine and must not block.
func NewClock(look func(moment time.Time)) *Clock {
	c := &Clock{began: time.Now(), look: look}
	c.tick()
	return c
}

// Now is the time of day in Unix milliseconds.
func (c *Clock) Now() int64 { return c.now.Load() }

// Steady is a count of milliseconds since about the start, that nobody sets; what a session's Deadline
// means. It is never 0, which stands for no time.
func (c *Clock) Steady() int64 { return c.steady.Load() }

// tick looks at the machine's clock, and returns the steady time.
func (c *Clock) tick() (steady int64) {
	moment := time.Now()
	if c.look != nil {
		c.look(moment)
	}
	steady = c.at(moment)
	store(&c.now, moment.UnixMilli())
	store(&c.steady, steady)
	return steady
}

// store stores n, if that is news: many goroutines may read it.
func store(to *atomic.Int64, n int64) {
	if to.Load() != n {
		to.Store(n)
	}
}

// at is the steady time of a moment that time.Now told.
func (c *Clock) at(moment time.Time) int64 { return moment.Sub(c.began).Milliseconds() + 1 }

// when is the moment of a steady time; 0, none, is the zero Time.
func (c *Clock) when(steady int64) time.Time {
	if steady == 0 {
		return time.Time{}
	}
	return c.began.Add(time.Duration(steady-1) * time.Millisecond)
}
