package transport

// Silent connections. Most of what a connection costs is the stack of its goroutine, which grows with
// the first request and hardly ever gets smaller, and its buffer. So one of which nothing is heard for
// a while is parked: its goroutine ends, and it gets another when bytes come, or an interrupt, or
// the deadline of what its session waits for. Some 1.5 KB are left of it.

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// parked is what a connection without a goroutine has instead.
type parked struct {
	alarm *time.Timer // at the deadline; nil without one
	leave func()      // the lot
}

// park reports whether the connection is parked, and its goroutine to end. It is not where the
// system cannot tell when bytes come.
func (c *conn) park() bool {
	c.in.rest()
	c.session.Rest()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken {
		return false
	}
	p := &parked{}
	c.parked = p
	if p.leave = c.owner.lot.enter(c); p.leave == nil {
		c.parked = nil
		return false
	}
	if ms, timed := c.session.Deadline(); timed {
		p.alarm = time.AfterFunc(time.Until(time.UnixMilli(ms)), c.wake)
	}
	c.owner.calm.note()
	return true
}

// wake gives a parked connection a goroutine again, whatever the reason: that finds out.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rouse()
}

// rouse is wake with mu held.
func (c *conn) rouse() {
	p := c.parked
	if p == nil {
		return
	}
	c.parked = nil
	p.leave()
	if p.alarm != nil {
		p.alarm.Stop()
	}
	go c.run()
}

// calm gives memory back to the system when many connections have fallen silent: the collector
// would come to it in minutes.
type calm struct {
	parked atomic.Int32 // since memory was given back
	timer  *time.Timer
}

const (
	calmParked = 250             // connections whose memory is worth it
	calmDelay  = 5 * time.Second // for others that are about to be parked
)

func newCalm() *calm {
	m := &calm{}
	m.timer = time.AfterFunc(time.Hour, func() {
		m.parked.Store(0)
		runtime.GC() // pools give up what lay in them at two collections running
		debug.FreeOSMemory()
	})
	m.timer.Stop()
	return m
}

func (m *calm) note() {
	if m.parked.Add(1) == calmParked {
		m.timer.Reset(calmDelay)
	}
}
