package transport

// One connection of the portable transport: its goroutine reads, lets the session work, writes, and
// waits with it.

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/darner/darner/server/memcache"
)

// checkTime is how often a client is looked after that waits and cannot be read from.
const checkTime = time.Second

// errInterrupted: a read ended because there is something else to see to.
var errInterrupted = errors.New("interrupted")

// past is a deadline that interrupts a read at once.
var past = time.Unix(1, 0)

type conn struct {
	owner   *portable
	net     net.Conn
	session *memcache.Session
	peer    string     // its address
	hold    func(bool) // see holder
	in      input
	outSize int  // size of the last output: the next is likely alike
	drained bool // the server stops
	halfEnd bool // the client sends no more, but may still read
	doubt

	mu       sync.Mutex
	deadline time.Time // the read deadline in force
	woken    bool      // interrupted since the goroutine looked last
	wakeup   sync.Cond // signals woken, for a wait that cannot read
}

func newConn(t *portable, nc net.Conn, peer memcache.Peer) *conn {
	c := &conn{owner: t, net: nc, peer: peer.Addr, in: newInput(&t.buffers)}
	c.wakeup.L = &c.mu
	c.session = t.o.Session(peer, c.interrupt)
	c.hold = holder(nc)
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
	ended := c.converse()
	c.session.Close()
	if ended {
		c.linger()
	}
	c.net.Close()
	c.in.release()
	c.owner.leave(c)
}

// converse goes on until this side has ended the conversation, or the client or the network broke it.
func (c *conn) converse() (ended bool) {
	for {
		c.noticeDrain()
		if c.turn() != nil {
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
			if c.drained && errors.Is(err, os.ErrDeadlineExceeded) {
				return true
			}
			return false
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

// turn lets the session work on what came and sends what it answers. An answer with items of plain gets leaves when
// these are noted to be gone: a client that has it finds the server in no other state, whenever that dies.
func (c *conn) turn() error {
	now := c.owner.clock.tick()
	buf := c.owner.buffers.get(min(c.outSize, classes[largest]))
	n, out := c.session.Process(c.in.pending(), buf.b)
	c.in.consume(n)
	var err error
	if len(out) > 0 {
		c.outSize = len(out)
		doubted := c.doubted(c.session, now, func() bool { return asked(c.net, silent) })
		held := !doubted && c.session.Unconfirmed()
		if held {
			c.hold(true)
		}
		if n, err = c.net.Write(out); doubted && err == nil {
			err = c.acknowledged()
		}
		if err == nil || !doubted {
			c.session.Sent(n)
		}
		if held {
			c.hold(false)
		}
		c.owner.o.Counters.BytesWritten.Add(uint64(n))
	}
	buf.b = out
	c.owner.buffers.put(buf)
	return err
}

// acknowledged waits until the client's system has answered to what it was sent, or fails when it never will.
func (c *conn) acknowledged() error {
	for c.pause = 0; ; {
		switch owes := asked(c.net, func(fd int) bool { return unanswered(fd, c.owner.clock.tick()-c.since) }); {
		case c.owner.cutting.Load(), owes && broken(c.net):
			return net.ErrClosed
		case !owes:
			return nil
		}
		if c.sleep(time.Now().Add(time.Duration(c.nextPause()) * time.Millisecond)) {
			defer c.interrupt() // it was for somebody else
		}
	}
}

// wait sits in a read while the session waits, so that a client that goes away is noticed and
// what it sends meanwhile is kept, within the bound of the buffer.
func (c *conn) wait() error {
	var until time.Time
	ms, timed := c.session.Deadline()
	if timed {
		until = c.owner.clock.when(ms)
	}
	switch full := len(c.in.space(0)) == 0; {
	case full && timed:
		return c.watch(until)
	case full, c.halfEnd && !timed:
		c.sleep(time.Time{})
		if c.owner.cutting.Load() {
			return net.ErrClosed
		}
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

// read reads once, with room for need bytes. It fails with errInterrupted, or at the deadline (zero:
// none) with os.ErrDeadlineExceeded.
func (c *conn) read(need int, until time.Time) error {
	if !c.arm(until) {
		return errInterrupted
	}
	c.in.rest()
	n, err := c.net.Read(c.in.space(need))
	c.in.filled(n)
	c.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0:
		c.heard = c.owner.clock.tick()
		return nil // an error comes again
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.takeWakeup():
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

// patience is until when to wait for the next request: for ever, and only briefly when the server
// stops.
func (c *conn) patience() time.Time {
	if !c.drained {
		return time.Time{}
	}
	return earlier(c.owner.clock.when(c.owner.stopping.Load()), time.Now().Add(drainPause))
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
		c.halfEnd, c.leaves = true, true
		return waiting && !timed
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case waiting:
		return true
	}
	return !c.drained
}

func (c *conn) noticeDrain() { c.drained = c.drained || c.owner.stopping.Load() != 0 }
