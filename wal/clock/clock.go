// Package clock tells the time. The server makes one Clock and hands it down; nothing below it asks
// package time. So a test can stop the time, step it and set it.
package clock

import "time"

// Clock tells the time and calls functions later. All methods may be called from any goroutine.
type Clock interface {
	// Now returns the time of day and the steady time, which counts from some moment before the
	// first call. The time of day may be set, by hours and in both directions. The steady time only
	// grows, by the time that passes.
	Now() (day time.Time, steady time.Duration)

	// AfterFunc calls fn on another goroutine when the steady time has grown by d.
	AfterFunc(d time.Duration, fn func()) Timer
}

// Timer is a pending call. *time.Timer is one.
type Timer interface {
	// Stop cancels the call. It is false if the call has begun or was cancelled already.
	Stop() bool
	// Reset has the function called after d from now. It returns what Stop would.
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

// Or is c, or the machine's clock if c is nil: the default of an option.
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

// Alarm is a timer for a goroutine that waits for other things as well.
type Alarm struct {
	C     <-chan struct{} // receives when the alarm rings
	timer Timer
}

// NewAlarm returns an alarm that is not set.
func NewAlarm(c Clock) *Alarm {
	rings := make(chan struct{}, 1)
	a := &Alarm{C: rings}
	a.timer = NewTimer(c, func() {
		select {
		case rings <- struct{}{}:
		default: // nobody has received the last ring
		}
	})
	return a
}

// Set makes the alarm ring after d from now, instead of at any earlier setting. A ring of that
// which nobody has received is dropped; one that is just beginning may still come.
func (a *Alarm) Set(d time.Duration) {
	a.timer.Stop()
	select {
	case <-a.C:
	default:
	}
	a.timer.Reset(d)
}

// Stop keeps the alarm from ringing.
func (a *Alarm) Stop() { a.timer.Stop() }

// never is longer than a process runs.
const never = 1<<63 - 1

// Wait returns true after d, or false once done is closed.
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
