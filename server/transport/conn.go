package transport

// One connection: its goroutine reads, lets the session work, writes, and waits with it.

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/darner/darner/server/memcache"
)

const (
	// idleTime is how long a connection that sends nothing keeps a large buffer, at most twice.
	idleTime = time.Second
	// lingerTime is how long a client may go on sending after its connection was ended.
	lingerTime = 2 * time.Second
	// drainPause is how long a client is given, when the server stops, to have sent its requests.
	drainPause = 10 * time.Millisecond
)

// errInterrupted: a read ended because there is something else to see to.
var errInterrupted = errors.New("interrupted")

// past is a deadline that interrupts a read at once.
var past = time.Unix(1, 0)

type conn struct {
	owner   *Portable
	net     net.Conn
	session *memcache.Session
	in      input
	outSize int  // size of the last output: the next is likely alike
	drained bool // the session knows that the server stops

	mu       sync.Mutex
	deadline time.Time // the read deadline in force
	woken    bool      // interrupted since the goroutine looked last
	wakeup   sync.Cond // signals woken, for a wait that cannot read
}

func newConn(t *Portable, nc net.Conn) *conn {
	c := &conn{owner: t, net: nc}
	c.wakeup.L = &c.mu
	return c
}

// interrupt ends the current or the next read. It is safe from any goroutine.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = true
	c.deadline = past
	c.net.SetReadDeadline(past)
	c.wakeup.Signal()
}

// run serves the connection until either side ends it.
func (c *conn) run() {
	c.in = newInput(&c.owner.buffers)
	c.session = c.owner.o.Session(isLocal(c.net), c.interrupt)
	ended := c.converse()
	c.session.Close()
	if ended {
		c.linger()
	}
	c.net.Close()
	c.in.release()
}

// converse goes on until the connection breaks or the session ends it, and reports whether it
// was the session.
func (c *conn) converse() (ended bool) {
	for {
		c.noticeDrain()
		if err := c.turn(); err != nil {
			return false
		}
		var err error
		switch c.session.State() {
		case memcache.Closing:
			return true
		case memcache.Working:
			c.session.Job()()
		case memcache.Waiting:
			err = c.wait()
		default:
			if need := c.session.Need(); need > len(c.in.pending()) {
				err = c.read(need, c.patience())
			}
		}
		if err != nil && !c.goesOn(err) {
			return false
		}
	}
}

// linger lets a client that is told why its connection ends read it: closing while it still sends
// would have its system throw the answer away. What it sends is discarded.
func (c *conn) linger() {
	half, ok := c.net.(interface{ CloseWrite() error })
	if c.drained || !ok || half.CloseWrite() != nil {
		return
	}
	c.in.consume(len(c.in.pending()))
	until := time.Now().Add(lingerTime)
	for c.arm(until) {
		if _, err := c.net.Read(c.in.space(0)); err != nil {
			return
		}
	}
}

// turn lets the session work on what came and sends what it answers.
func (c *conn) turn() error {
	buf := c.owner.buffers.get(min(c.outSize, classes[largest]))
	n, out := c.session.Process(c.in.pending(), buf.b)
	c.in.consume(n)
	var err error
	if len(out) > 0 {
		c.outSize = len(out)
		n, err = c.net.Write(out)
		c.session.Sent(n)
		c.owner.o.Counters.BytesWritten.Add(uint64(n))
	}
	buf.b = out
	c.owner.buffers.put(buf)
	return err
}

// wait sits in a read while the session waits, so that a client that goes away is noticed and
// what it sends meanwhile is kept, within the bound of the buffer.
func (c *conn) wait() error {
	var until time.Time
	if ms, ok := c.session.Deadline(); ok {
		until = time.UnixMilli(ms)
	}
	if len(c.in.pending()) == 0 {
		c.in.shrink()
	}
	if len(c.in.space(0)) == 0 {
		c.sleep(until)
		return nil
	}
	return c.read(0, until)
}

// sleep waits for an interrupt or until the deadline (zero: none) without reading.
func (c *conn) sleep(until time.Time) {
	if !until.IsZero() {
		defer time.AfterFunc(time.Until(until), c.interrupt).Stop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.woken {
		c.wakeup.Wait()
	}
	c.woken = false
}

// read reads once, with room for need bytes. It fails with errInterrupted, or at the deadline
// (zero: none) with os.ErrDeadlineExceeded.
func (c *conn) read(need int, until time.Time) error {
	if !c.arm(until) {
		return errInterrupted
	}
	n, err := c.net.Read(c.in.space(need))
	c.in.filled(n)
	c.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0:
		return nil // an error comes again
	case errors.Is(err, os.ErrDeadlineExceeded) && c.takeWakeup():
		return errInterrupted
	}
	return err
}

// arm sets the read deadline, or reports that an interrupt came first.
func (c *conn) arm(until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken {
		c.woken = false
		return false
	}
	if c.deadline != until {
		c.deadline = until
		c.net.SetReadDeadline(until)
	}
	return true
}

func (c *conn) takeWakeup() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	woken := c.woken
	c.woken = false
	return woken
}

// patience is until when to wait for the next request: for ever, but for a look at whether a
// large buffer is still needed, and only briefly when the server stops.
func (c *conn) patience() time.Time {
	switch {
	case c.drained:
		last := time.Unix(0, c.owner.draining.Load())
		if soon := time.Now().Add(drainPause); soon.Before(last) {
			return soon
		}
		return last
	case c.in.large():
		return time.Now().Truncate(idleTime).Add(2 * idleTime) // whole seconds: the deadline is set once in each
	}
	return time.Time{}
}

// goesOn judges a failed read: neither an interrupt nor a deadline is the client's doing.
func (c *conn) goesOn(err error) bool {
	if err == errInterrupted {
		return true
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if c.session.State() == memcache.Waiting {
		return true
	}
	c.in.shrink()
	return !c.drained
}

// noticeDrain tells the session, once, that the server stops.
func (c *conn) noticeDrain() {
	if !c.drained && c.owner.draining.Load() != 0 {
		c.drained = true
		c.session.Drain()
	}
}
