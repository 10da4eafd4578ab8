package transport

// The steady clock: whatever the time of day is set to, by hand or from the network, waits last as long as they
// should.

import "time"

// clock counts the milliseconds since it was started.
type clock struct{ began time.Time }

func startClock() clock { return clock{began: time.Now()} }

// at is the count at a moment that time.Now told: never 0, which stands for no time.
func (c clock) at(moment time.Time) int64 { return moment.Sub(c.began).Milliseconds() + 1 }

// when is the moment at which the count is reached.
func (c clock) when(count int64) time.Time {
	return c.began.Add(time.Duration(count-1) * time.Millisecond)
}
