// Package clocktest has a clock that stands still until a test steps it.
package clocktest

import (
	"slices"
	"sync"
	"time"

	"github.com/darner/darner/wal/clock"
)

// Clock is a clock.Clock that a test steps.
type Clock struct {
	mu     sync.Mutex
	day    time.Time
	steady time.Duration
	timers []*timer // that are set, in any order
	set    uint64   // how often timers were set
}

// New returns a clock that stands at a time of day.
func New(day time.Time) *Clock { return &Clock{day: day} }

// Now is that of clock.Clock.
func (c *Clock) Now() (day time.Time, steady time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.day, c.steady
}

// SetDay sets the time of day, as an operator does. No time passes.
func (c *Clock) SetDay(day time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.day = day
}

// Step lets time pass. It calls the timers that are due, one after the other, each at its time and
// on the caller's goroutine. That includes timers that these set.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	until := c.steady + d
	for t := c.nextLocked(until); t != nil; t = c.nextLocked(until) {
		c.passLocked(t.due - c.steady)
		c.removeLocked(t)
		c.mu.Unlock()
		t.fn()
		c.mu.Lock()
	}
	c.passLocked(until - c.steady)
	c.mu.Unlock()
}

// Timers is the number of timers that are set.
func (c *Clock) Timers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// passLocked lets time pass in which no timer is due.
func (c *Clock) passLocked(d time.Duration) {
	if d > 0 { // a timer may have been late
		c.day, c.steady = c.day.Add(d), c.steady+d
	}
}

// nextLocked returns the timer that is due first, or nil; of several, the one set first.
func (c *Clock) nextLocked(until time.Duration) (first *timer) {
	for _, t := range c.timers {
		if t.due <= until && (first == nil || t.due < first.due ||
			t.due == first.due && t.order < first.order) {
			first = t
		}
	}
	return first
}

// removeLocked is false if the timer was not set.
func (c *Clock) removeLocked(t *timer) bool {
	i := slices.Index(c.timers, t)
	if i < 0 {
		return false
	}
	c.timers = slices.Delete(c.timers, i, i+1)
	return true
}

// AfterFunc is that of clock.Clock. Step calls fn.
func (c *Clock) AfterFunc(d time.Duration, fn func()) clock.Timer {
	t := &timer{c: c, fn: fn}
	t.Reset(d)
	return t
}

type timer struct {
	c     *Clock
	fn    func()
	due   time.Duration // steady
	order uint64
}

func (t *timer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return t.c.removeLocked(t)
}

func (t *timer) Reset(d time.Duration) bool {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.removeLocked(t)
	if t.due = c.steady + d; t.due < c.steady { // so far that it never comes
		t.due = 1<<63 - 1
	}
	c.set++
	t.order = c.set
	c.timers = append(c.timers, t)
	return was
}
