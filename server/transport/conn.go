package transport

// One connection: its goroutine reads, lets the session work, writes, and waits with it, until for
// a while nobody has anything to say: see park.go.

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/darner/darner/server/memcache"
)

const (
	// idleTime is how long nothing may come until a connection is parked, at most twice.
	idleTime = time.Second
	// lingerTime is how long a client may go on sending after its connection was ended.
	lingerTime = 2 * time.Second
	// drainPause is how long a client is given, when the server stops, to have sent its requests.
	drainPause = 10 * time.Millisecond
	// checkTime is how often a client is looked after that waits and cannot be read from.
	checkTime = time.Second
)

var (
	// errInterrupted: a read ended because there is something else to see to.
	errInterrupted = errors.New("interrupted")
	// errSilent: a read ended because for a while nothing came.
	errSilent = errors.New("silent")
)

// past is a deadline that interrupts a read at once.
var past = time.Unix(1, 0)

type conn struct {
	owner   *Portable
	net     net.Conn
	session *memcache.Session
	in      input
	outSize int  // size of the last output: the next is likely alike
	drained bool // the server stops
	halfEnd bool // the client sends no more, but may still read
	stays   bool // waits with its goroutine however long nothing comes: it could not be parked

	mu       sync.Mutex
	deadline time.Time // the read deadline in force
	woken    bool      // interrupted since the goroutine looked last
	wakeup   sync.Cond // signals woken, for a wait that cannot read
	parked   *parked   // nil while the connection has its goroutine
}

func newConn(t *Portable, nc net.Conn) *conn {
	c := &conn{owner: t, net: nc}
	c.wakeup.L = &c.mu
	c.session = t.o.Session(isLocal(nc), c.interrupt)
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
	c.rouse()
}

// outcome is how a conversation left off.
type outcome int

const (
	broken outcome = iota // by the client, or the network
	ended                 // by this side
	silent                // nobody has anything to say
)

// run serves the connection until either side ends it, or it is parked.
func (c *conn) run() {
	how := c.converse()
	for how == silent {
		if c.park() {
			return
		}
		c.stays = true
		how = c.converse()
	}
	c.session.Close()
	if how == ended {
		c.linger()
	}
	c.net.Close()
	c.in.release()
	c.owner.leave(c)
}

// converse goes on for as long as there is something to do.
func (c *conn) converse() outcome {
	if c.in.buf == nil {
		c.in = newInput(&c.owner.buffers)
	}
	for {
		c.noticeDrain()
		if c.turn() != nil {
			return broken
		}
		var err error
		switch c.session.State() {
		case memcache.Closing:
			return ended
		case memcache.Working:
			c.session.Job()()
		case memcache.Waiting:
			err = c.wait()
		default:
			if need := c.session.Need(); need > len(c.in.pending()) {
				err = c.read(need, c.patience())
			}
		}
		if err == errSilent {
			return silent
		}
		if err != nil && !c.goesOn(err) {
			if c.drained && errors.Is(err, os.ErrDeadlineExceeded) {
				return ended
			}
			return broken
		}
	}
}

// linger lets a client whose connection ends read what it was answered: closing while it still
// sends, or before its input was read, would have the system throw the answers away. What it sends
// is discarded.
func (c *conn) linger() {
	half, ok := c.net.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.in.consume(len(c.in.pending()))
	for last := time.Now().Add(lingerTime); ; {
		c.noticeDrain()
		until := last
		if c.drained {
			until = earlier(last, time.Now().Add(drainPause))
		}
		if !c.arm(until) {
			continue
		}
		_, err := c.net.Read(c.in.space(0))
		quiet := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case err != nil && !quiet, !time.Now().Before(last):
			return
		case quiet && c.drained && !undelivered(c.net):
			return
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
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
	ms, timed := c.session.Deadline()
	if timed {
		until = time.UnixMilli(ms)
	}
	switch full := len(c.in.space(0)) == 0; {
	case full && timed:
		return c.watch(until)
	case full, c.halfEnd && !timed:
		c.sleep(time.Time{})
		return nil
	}
	return c.read(0, until)
}

// watch is sleep for a get that waits while no more can be read: it fails when the client is gone,
// so that it takes no item.
func (c *conn) watch(until time.Time) error {
	for {
		woken := c.sleep(earlier(until, time.Now().Add(checkTime)))
		if hungUp(c.net) {
			return io.EOF
		}
		if woken || !time.Now().Before(until) {
			return nil
		}
	}
}

// sleep waits for an interrupt, or without one until the deadline (zero: none), and reports which.
// It does not read.
func (c *conn) sleep(until time.Time) (woken bool) {
	late := false
	if !until.IsZero() {
		defer time.AfterFunc(time.Until(until), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			late = true
			c.wakeup.Signal()
		}).Stop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.woken && !late {
		c.wakeup.Wait()
	}
	woken, c.woken = c.woken, false
	return woken
}

// read reads once, with room for need bytes. It fails with errInterrupted, at the deadline (zero:
// none) with os.ErrDeadlineExceeded, or before it with errSilent.
func (c *conn) read(need int, until time.Time) error {
	soon := until
	if !c.stays {
		soon = c.silence(until)
	}
	if !c.arm(soon) {
		return errInterrupted
	}
	n, err := c.net.Read(c.in.space(need))
	c.in.filled(n)
	c.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0:
		c.stays = false
		return nil // an error comes again
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.takeWakeup():
		return errInterrupted
	case soon != until:
		return errSilent
	}
	return err
}

// silence is until when something has to come lest the connection falls silent, or the deadline if
// that is earlier.
func (c *conn) silence(until time.Time) time.Time {
	idle := c.owner.idle
	soon := time.Now().Truncate(idle).Add(2 * idle) // whole seconds: the timer is set once in each
	if until.IsZero() || soon.Before(until) {
		return soon
	}
	return until
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

// patience is until when to wait for the next request: for ever, and only briefly when the server
// stops.
func (c *conn) patience() time.Time {
	if !c.drained {
		return time.Time{}
	}
	last := time.Unix(0, c.owner.draining.Load())
	if soon := time.Now().Add(drainPause); soon.Before(last) {
		return soon
	}
	return last
}

// goesOn judges a failed read: neither an interrupt nor a deadline is the client's doing, and one
// that only sends no more is still answered. A get that waits is not worth it: from here a client
// that is gone looks the same, and it must not take an item.
func (c *conn) goesOn(err error) bool {
	_, timed := c.session.Deadline()
	waiting := c.session.State() == memcache.Waiting
	switch {
	case err == errInterrupted:
		return true
	case err == io.EOF:
		c.halfEnd = true
		return waiting && !timed
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case waiting:
		return true
	}
	return !c.drained
}

func (c *conn) noticeDrain() { c.drained = c.drained || c.owner.draining.Load() != 0 }
