package transport

// The portable transport: a goroutine per connection on package net. It runs everywhere.

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Portable serves connections with a goroutine each.
type Portable struct {
	o       Options
	buffers pools
	lot     *lot // of silent connections
	calm    *calm
	idle    time.Duration  // idleTime, but in tests
	running sync.WaitGroup // connections and accept loops
	stop    chan struct{}  // closed by Stop

	mu        sync.Mutex
	listeners []net.Listener
	conns     map[*conn]struct{}

	draining atomic.Int64 // Unix nanoseconds until which requests on their way are read; 0: not stopping
}

// NewPortable returns a transport that serves nothing yet.
func NewPortable(o Options) *Portable {
	t := &Portable{o: o, lot: newLot(), calm: newCalm(), idle: idleTime, stop: make(chan struct{}), conns: map[*conn]struct{}{}}
	go t.lot.run()
	return t
}

// Serve accepts connections on l in the background, until Stop, which closes l.
func (t *Portable) Serve(l net.Listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners = append(t.listeners, l)
	t.running.Go(func() { t.accept(l) })
}

// Pauses between attempts to accept when the system is out of descriptors or memory.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

func (t *Portable) accept(l net.Listener) {
	pause := firstPause
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = firstPause
			t.admit(c)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		case pause == firstPause:
			t.o.Logger.Warn("cannot accept connections for now; is the limit of open files too low?", "address", l.Addr().String(), "error", err)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		case <-t.stop:
			return
		}
	}
}

// admit starts a connection, or turns it away.
func (t *Portable) admit(nc net.Conn) {
	c := newConn(t, nc)
	if !t.register(c) {
		t.refuse(nc)
		return
	}
	t.o.Logger.Debug("client connected", "peer", nc.RemoteAddr())
	go c.run()
}

// refuse tells a client that it is one too many, if it can be told without waiting.
func (t *Portable) refuse(nc net.Conn) {
	t.o.Counters.RejectedConnections.Add(1)
	nc.SetWriteDeadline(time.Now().Add(firstPause))
	nc.Write([]byte(refusal))
	nc.Close()
}

// register counts c as running, unless there are too many or the transport stops.
func (t *Portable) register(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.conns) >= t.o.MaxConnections || t.draining.Load() != 0 {
		return false
	}
	t.conns[c] = struct{}{}
	t.running.Add(1)
	t.o.Counters.Connections.Store(uint64(len(t.conns)))
	t.o.Counters.TotalConnections.Add(1)
	return true
}

// leave is the end of c.
func (t *Portable) leave(c *conn) {
	t.o.Logger.Debug("client gone", "peer", c.net.RemoteAddr())
	t.mu.Lock()
	delete(t.conns, c)
	t.o.Counters.Connections.Store(uint64(len(t.conns)))
	t.mu.Unlock()
	t.running.Done()
}

// drainTime bounds how long a stopping transport goes on reading requests that keep coming.
const drainTime = 250 * time.Millisecond

// Stop closes the listeners, has waiting GETs answered, answers what was asked before, closes the
// connections and returns when all are gone. Connections still busy when ctx ends (a client that
// does not read) are cut off: what they were being sent returns to its queue. Those that even then
// wait for the disk are left behind.
func (t *Portable) Stop(ctx context.Context) {
	defer t.lot.close()
	defer t.calm.timer.Stop()
	t.beginDrain()
	done := make(chan struct{})
	go func() {
		t.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	t.cutOff()
	select {
	case <-done:
	case <-time.After(cutOffTime):
		t.o.Logger.Error("connections wait for the disk and are left behind", "connections", t.o.Counters.Connections.Load())
	}
}

// cutOffTime is how long connections that were cut off are given to put back what they have in hand.
const cutOffTime = 500 * time.Millisecond

func (t *Portable) cutOff() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.conns); n > 0 {
		t.o.Logger.Warn("cutting off connections that are still busy", "connections", n)
	}
	for c := range t.conns {
		c.net.Close()
		c.wake()
	}
}

func (t *Portable) beginDrain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining.Load() != 0 {
		return
	}
	t.draining.Store(time.Now().Add(drainTime).UnixNano())
	close(t.stop)
	for _, l := range t.listeners {
		l.Close()
	}
	for c := range t.conns {
		c.session.Drain()
		c.interrupt()
	}
}
