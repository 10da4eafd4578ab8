// Package clocktest has a clock that stands still until a test moves it.
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
	timers []*timer // that are set, in no order
	set    uint64   // counts how often any was
}

// New returns one that stands at a time of day.
func New(day time.Time) *Clock { return &Clock{day: day} }

// Now is as of clock.Clock.
func (c *Clock) Now() (day time.Time, steady time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.day, c.steady
}

// SetDay sets the time of day, as an operator does; no time passes.
func (c *Clock) SetDay(day time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.day = day
}

// Step has time pass. Timers that are due then are called one after the other, each at its time, on
// the caller's goroutine; those that they set too, if they are due.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	until := c.steady + d
	for t := c.next(until); t != nil; t = c.next(until) {
		c.pass(t.due - c.steady)
		c.remove(t)
		c.mu.Unlock()
		t.fn()
		c.mu.Lock()
	}
	c.pass(until - c.steady)
	c.mu.Unlock()
}

// Timers is how many timers are set.
func (c *Clock) Timers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

// pass has time pass that no timer is due in. mu is held.
func (c *Clock) pass(d time.Duration) {
	if d > 0 { // a timer may have been late
		c.day, c.steady = c.day.Add(d), c.steady+d
	}
}

// next returns the timer that is due first, in the order they were set, or nil. mu is held.
func (c *Clock) next(until time.Duration) (first *timer) {
	for _, t := range c.timers {
		if t.due <= until && (first == nil || t.due < first.due ||
			t.due == first.due && t.order < first.order) {
			first = t
		}
	}
	return first
}

// remove is false when the timer was not set. mu is held.
func (c *Clock) remove(t *timer) bool {
	i := slices.Index(c.timers, t)
	if i < 0 {
		return false
	}
	c.timers = slices.Delete(c.timers, i, i+1)
	return true
}

// AfterFunc is as of clock.Clock; fn is called by Step.
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
	return t.c.remove(t)
}

func (t *timer) Reset(d time.Duration) bool {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.remove(t)
	if t.due = c.steady + d; t.due < c.steady { // so far that it never comes
		t.due = 1<<63 - 1
	}
	c.set++
	t.order = c.set
	c.timers = append(c.timers, t)
	return was
}
