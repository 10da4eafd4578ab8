package transport

// Where connections come in: accepting, and how many are inside. Both transports have one.

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

type door struct {
	o     Options
	admit func(net.Conn) error // starts a connection; tried again when it fails
	done  chan struct{}        // closed when the door is and everybody has left
	quit  chan struct{}        // closed when the door is

	told atomic.Int64 // Unix seconds of the last log line that connections cannot be accepted

	mu        sync.Mutex
	listeners []net.Listener
	inside    int // connections
	accepting int // listeners being accepted from
	closed    bool
}

func newDoor(o Options, admit func(net.Conn) error) *door {
	return &door{o: o, admit: admit, done: make(chan struct{}), quit: make(chan struct{})}
}

// serve accepts connections on l in the background, until close, which closes l.
func (d *door) serve(l net.Listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listeners = append(d.listeners, l)
	d.accepting++
	go d.accept(l)
}

// Pauses between attempts to accept when the system is out of descriptors or memory.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

func (d *door) accept(l net.Listener) {
	defer d.notice(func() { d.accepting-- })
	for {
		var c net.Conn
		err := d.insist(l, func() (err error) {
			c, err = l.Accept()
			return err
		})
		if err != nil {
			return
		}
		d.letIn(l, c)
	}
}

// letIn starts a connection. One that cannot be for now stays until it can.
func (d *door) letIn(l net.Listener, c net.Conn) {
	if !d.enter() {
		d.refuse(c)
		return
	}
	d.o.Logger.Debug("client connected", "peer", c.RemoteAddr())
	if err := d.insist(l, func() error { return d.admit(c) }); err != nil {
		c.Close()
		d.leave()
	}
}

// insist tries until it succeeds, or fails with net.ErrClosed when the door is closed.
func (d *door) insist(l net.Listener, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := try()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return err
		}
		if now, last := time.Now().Unix(), d.told.Load(); now-last >= 60 && d.told.CompareAndSwap(last, now) { // it may come and go
			d.o.Logger.Warn("cannot accept connections for now; is the limit of open files too low?", "address", l.Addr().String(), "error", err)
		}
		select {
		case <-time.After(pause):
		case <-d.quit:
			return net.ErrClosed
		}
	}
}

// refuse tells a client that it is one too many, if it can be told without waiting.
func (d *door) refuse(c net.Conn) {
	d.o.Counters.RejectedConnections.Add(1)
	c.SetWriteDeadline(time.Now().Add(firstPause))
	c.Write([]byte(refusal))
	c.Close()
}

// enter counts a connection in, unless there are too many or the transport stops.
func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside >= d.o.MaxConnections || d.closed {
		return false
	}
	d.inside++
	d.o.Counters.Connections.Store(uint64(d.inside))
	d.o.Counters.TotalConnections.Add(1)
	return true
}

// leave counts a connection out, the last thing it does.
func (d *door) leave() {
	d.notice(func() {
		d.inside--
		d.o.Counters.Connections.Store(uint64(d.inside))
	})
}

// notice makes a change and closes done when nobody is left.
func (d *door) notice(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.end()
}

func (d *door) end() {
	if !d.closed || d.inside > 0 || d.accepting > 0 {
		return
	}
	select {
	case <-d.done:
	default:
		close(d.done)
	}
}

// close lets nobody in any more.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	close(d.quit)
	for _, l := range d.listeners {
		l.Close()
	}
	d.end()
}
