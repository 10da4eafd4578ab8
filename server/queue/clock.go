package queue

// The time as the queues know it. The clock of a machine may be set while the server runs: by hours, or by half a century
// where it starts in 1970. A lifetime that was given in seconds goes by steady time all the same. The stretches between
// steps are eras: each item belongs to one, which tells by how much its times have moved since.

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// leastStep is what a clock has to jump by, in milliseconds, to have been set. Less is drift.
	leastStep = 2000
	// mostEras bounds the memory of a clock that is set all the time; what is older counts as of the oldest kept.
	mostEras = 256
)

// Clock tells wall time, and notices when it was set. It is looked at when the time is asked for anyway, and by nobody
// while nothing happens. All methods may be called from any goroutine.
type Clock struct {
	read   func() (wall, steady int64) // Unix ms; ms since anything
	asleep func() int64                // ms that the machine slept, which steady does not count
	began  time.Time                   // where steady counts from

	ahead atomic.Int64  // of wall before steady, in ms, as far as no step was noticed
	steps atomic.Uint32 // noticed

	mu     sync.Mutex
	slept  int64
	eras   []era // of this run, the present one last
	gone   int   // eras not kept, the oldest
	past   []stretch
	logger *slog.Logger
	tell   func() // a step was noticed; must not block
}

// era is a stretch without a step.
type era struct {
	from  int64 // wall time at its beginning
	ahead int64 // of wall before steady time, sleep counted
}

// NewClock returns the clock of this machine.
func NewClock() *Clock {
	began := time.Now()
	c := newClock(func() (wall, steady int64) { return clockAt(began, time.Now()) }, asleep)
	c.began = began
	return c
}

func clockAt(began, moment time.Time) (wall, steady int64) {
	return moment.UnixMilli(), moment.Sub(began).Milliseconds()
}

func newClock(read func() (wall, steady int64), asleep func() int64) *Clock {
	c := &Clock{read: read, asleep: asleep, slept: asleep(), logger: slog.Default(), tell: func() {}}
	wall, steady := read()
	c.ahead.Store(wall - steady)
	c.eras = []era{{from: wall, ahead: wall - steady}}
	return c
}

// Now is the wall time in Unix milliseconds.
func (c *Clock) Now() int64 {
	wall, steady := c.read()
	if jump := wall - steady - c.ahead.Load(); jump > leastStep || jump < -leastStep {
		return c.jumped()
	}
	return wall
}

// jumped looks again, and notes a step unless the machine slept.
func (c *Clock) jumped() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, steady := c.read()
	if slept := c.asleep(); slept != c.slept {
		c.ahead.Add(slept - c.slept)
		c.slept = slept
	}
	by := wall - steady - c.ahead.Load()
	if by >= -leastStep && by <= leastStep {
		return wall
	}
	c.ahead.Store(wall - steady)
	c.eras = append(c.eras, era{from: wall, ahead: c.eras[len(c.eras)-1].ahead + by})
	if len(c.eras) > mostEras {
		c.eras = append(c.eras[:0], c.eras[1:]...)
		c.gone++
	}
	c.steps.Add(1)
	c.logger.Warn("the clock of this machine was set; lifetimes given in seconds go on by the time that passes",
		"was", stamp(wall-by), "is", stamp(wall), "by", time.Duration(by)*time.Millisecond)
	c.tell()
	return wall
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// Look is Now at a moment that time.Now told, for those who asked for it anyway.
func (c *Clock) Look(moment time.Time) {
	if c.began.IsZero() { // not of this machine
		c.Now()
		return
	}
	wall, steady := clockAt(c.began, moment)
	if jump := wall - steady - c.ahead.Load(); jump > leastStep || jump < -leastStep {
		c.jumped()
	}
}

// moved is by how much what the clock said in an era of this run is to be corrected, to compare it with what it says now.
func (c *Clock) moved(in uint32) int64 {
	if c.steps.Load() == in {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last().ahead - c.eras[max(0, min(int(in)-c.gone, len(c.eras)-1))].ahead
}

func (c *Clock) last() era { return c.eras[len(c.eras)-1] }

// movedBefore is moved of a time at which an item was put by an earlier run: as the history says, and by the steps of this
// run. Where the time fits what the clock says now better than what it said at the start, the clock was wrong then, and
// the steps are none of the item's.
func (c *Clock) movedBefore(at int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := shift(c.past, at)
	at += by
	first, moved := c.eras[0].from, c.last().ahead-c.eras[0].ahead
	fits := at > first && at-first >= first+moved-at // it is nearer to the time after the steps
	if moved < 0 {
		fits = at <= c.last().from
	}
	if !fits {
		by += moved
	}
	return by
}

// adopt corrects what the clock said when a request came, for an item that is put now: it may have been set between.
// era is the one it is of then.
func (c *Clock) adopt(enqueued int64) (by int64, era uint32) {
	if c.steps.Load() == 0 {
		return 0, 0
	}
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	era = c.steps.Load()
	n := len(c.eras)
	if n < 2 || enqueued == 0 || enqueued >= c.eras[n-1].from && enqueued <= now+leastStep {
		return 0, era
	}
	return c.eras[n-1].ahead - c.eras[n-2].ahead, era
}

// sinceStart turns wall time into what no step moves.
func (c *Clock) sinceStart(wall int64) int64 { return wall - c.ahead.Load() }
