package transport

// The portable transport: a goroutine per connection on package net. It runs everywhere.

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Portable serves connections with a goroutine each.
type Portable struct {
	o       Options
	door    *door
	buffers pools
	clock   clock

	mu    sync.Mutex
	conns map[*conn]struct{}

	draining atomic.Int64 // until when, by the clock, requests on their way are read; 0: not stopping
	cutting  atomic.Bool  // connections that are still busy are ended
}

// NewPortable returns a transport that serves nothing yet.
func NewPortable(o Options) *Portable {
	t := &Portable{o: o, clock: startClock(), conns: map[*conn]struct{}{}}
	t.door = newDoor(o, t.admit)
	return t
}

// Serve is Transport's.
func (t *Portable) Serve(l net.Listener) { t.door.serve(l) }

// Now is Transport's.
func (t *Portable) Now() int64 { return t.o.look(time.Now()).UnixMilli() }

// Steady is Transport's.
func (t *Portable) Steady() int64 { return t.clock.at(time.Now()) }

// admit starts a connection.
func (t *Portable) admit(nc net.Conn) error {
	c := newConn(t, nc)
	t.mu.Lock()
	t.conns[c] = struct{}{}
	t.mu.Unlock()
	if t.draining.Load() != 0 { // it may have begun since the door was passed
		c.session.Drain()
	}
	go c.run()
	return nil
}

// leave is the end of c.
func (t *Portable) leave(c *conn) {
	t.o.Logger.Debug("client gone", "peer", c.net.RemoteAddr())
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
	t.door.leave()
}

// Stop is Transport's.
func (t *Portable) Stop(ctx context.Context) {
	stop(ctx, t.o, t.drain, t.door.done, t.cutOff)
}

func (t *Portable) drain() {
	t.draining.Store(t.Steady() + drainTime.Milliseconds())
	t.door.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.session.Drain()
		c.interrupt()
	}
}

func (t *Portable) cutOff() {
	t.cutting.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.net.Close()
		c.interrupt()
	}
}
