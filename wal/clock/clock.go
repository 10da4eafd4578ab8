// Package clock is the time, for all that reads it or waits for it: the server hands one Clock
// down, and nothing below asks the package time. So a test can hold the time, step it and set it.
package clock

import "time"

// Clock tells the time and calls back when some has passed. All methods may be called from any
// goroutine.
type Clock interface {
	// Now returns the time of day, and the steady time: what has passed since a moment before the
	// first call. The time of day may be set, by hours and in both directions; the steady time only
	// grows, and does so by what passes.
	Now() (day time.Time, steady time.Duration)

	// AfterFunc calls fn on another goroutine when the steady time has grown by d.
	AfterFunc(d time.Duration, fn func()) Timer
}

// Timer is a call to come. *time.Timer is one.
type Timer interface {
	// Stop keeps the function from being called. It is false when that has begun, or was stopped.
	Stop() bool
	// Reset has the function called when d has passed from now on. It returns what Stop would.
	Reset(d time.Duration) bool
}

// System is the clock of the machine.
var System Clock = system{began: time.Now()}

type system struct{ began time.Time }

func (s system) Now() (day time.Time, steady time.Duration) {
	day = time.Now()
	return day, day.Sub(s.began)
}

func (s system) AfterFunc(d time.Duration, fn func()) Timer { return time.AfterFunc(d, fn) }

// Or is c, or the machine's if it is nil: the default of an option.
func Or(c Clock) Clock {
	if c == nil {
		return System
	}
	return c
}

// NewTimer returns a timer that is not set. It calls fn when Reset has set it.
func NewTimer(c Clock, fn func()) Timer {
	t := c.AfterFunc(never, fn)
	t.Stop()
	return t
}

// Steady is the steady time alone.
func Steady(c Clock) time.Duration {
	_, steady := c.Now()
	return steady
}

// UnixMilli is the time of day alone, in Unix ms.
func UnixMilli(c Clock) int64 {
	day, _ := c.Now()
	return day.UnixMilli()
}

// Alarm is a timer for a goroutine that waits for other things besides.
type Alarm struct {
	C     <-chan struct{} // receives once each time that the alarm rings
	timer Timer
}

// NewAlarm returns one that is not set.
func NewAlarm(c Clock) *Alarm {
	rings := make(chan struct{}, 1)
	a := &Alarm{C: rings}
	a.timer = NewTimer(c, func() {
		select {
		case rings <- struct{}{}:
		default: // nobody has seen the last one yet
		}
	})
	return a
}

// Set has it ring when d has passed from now on, in place of any time before.
func (a *Alarm) Set(d time.Duration) { a.timer.Reset(d) }

// Stop keeps it from ringing.
func (a *Alarm) Stop() { a.timer.Stop() }

// never is longer than a process runs.
const never = 1<<63 - 1

// Wait returns true when d has passed, or false when done is closed before.
func Wait(c Clock, d time.Duration, done <-chan struct{}) bool {
	a := NewAlarm(c)
	a.Set(d)
	defer a.Stop()
	select {
	case <-a.C:
		return true
	case <-done:
		return false
	}
}
