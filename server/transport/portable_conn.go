package transport

// One connection of the portable transport: its goroutine does what the policy says, and waits where that
// waits.

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/wal/clock"
)

// checkTime is how often, in milliseconds, a client is looked after that waits and cannot be read from.
const checkTime = 1000

type portableConn struct {
	conn
	owner   *portable
	net     net.Conn
	hold    func(bool)  // see holder
	outSize int         // size of the last output: the next is likely alike
	timer   clock.Timer // ends a wait at its time; nil: none had one yet

	mu     sync.Mutex
	until  int64     // when, by the clock, the wait under way is over; 0: there is none, or no such time
	woken  bool      // interrupted since the goroutine looked last
	rung   bool      // the time of the wait has come
	passed bool      // the read deadline is in the past
	wakeup sync.Cond // signals woken and rung, for a wait that cannot read
}

func newPortableConn(t *portable, nc net.Conn, peer memcache.Peer) *portableConn {
	c := &portableConn{owner: t, net: nc, hold: holder(nc)}
	c.wakeup.L = &c.mu
	c.peer, c.in = peer.Addr, newInput(&t.buffers)
	c.session = t.o.Session(peer, c.interrupt)
	return c
}

// interrupt ends the current or the next wait. It is safe from any goroutine.
func (c *portableConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = true
	c.endWaitLocked()
}

func (c *portableConn) endWaitLocked() {
	c.passed = true
	c.net.SetReadDeadline(past)
	c.wakeup.Signal()
}

// ring is called by the timer. It may come late, in another wait than the one it was set for.
func (c *portableConn) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until != 0 && c.owner.clock.until(c.until) <= 0 {
		c.rung = true
		c.endWaitLocked()
	}
}

// run serves the connection until it is to be closed.
func (c *portableConn) run() {
	c.owner.clock.tick()
	for c.do(c.next()) {
	}
	c.session.Close()
	c.net.Close()
	c.in.release()
	c.owner.leave(c)
}

// next asks the policy, with what the system knows.
func (c *portableConn) next() action {
	c.lost = c.lost || c.owner.cutting.Load()
	now := c.owner.clock.Steady()
	v := c.view(now, c.owner.stopping.Load())
	if v.unsure {
		v.owes = asked(c.net, func(fd int) bool { return unanswered(fd, now-c.since) })
		v.hungUp = v.owes && broken(c.net)
	}
	v.undelivered = v.late && v.lingers != 0 && asked(c.net, undelivered)
	return next(&v)
}

// do is false when the connection is to be closed.
func (c *portableConn) do(a action) bool {
	switch a.step {
	case stepProcess:
		c.answer()
	case stepConfirm:
		c.confirm()
	case stepWork:
		c.session.Job()()
		c.waited()
	case stepFinish:
		c.finish()
	case stepDrop:
		return false
	case stepRead:
		c.read(a.until)
	case stepWatch:
		c.sleep(min(a.until, c.owner.clock.Steady()+checkTime))
		c.halfEnd = hungUp(c.net)
	case stepLook:
		c.lookLater()
		c.sleep(a.until)
	case stepWait:
		c.sleep(a.until)
	}
	return true
}

// waited notes that there is something new to look at, and returns the time.
func (c *portableConn) waited() (now int64) {
	c.fresh = true
	return c.owner.clock.tick()
}

// answer lets the session work on what came and sends what it answers.
func (c *portableConn) answer() {
	buf := c.owner.buffers.get(min(c.outSize, classes[largest]))
	buf.b = c.process(buf.b)
	if len(buf.b) > 0 {
		c.outSize = len(buf.b)
		c.write(buf.b)
	}
	c.owner.buffers.put(buf)
}

func (c *portableConn) write(b []byte) {
	now := c.owner.clock.Steady()
	how := c.sending(now, c.quiet(now) && asked(c.net, silent))
	if how == held {
		c.hold(true)
	}
	n, err := c.net.Write(b)
	c.owner.clock.tick() // it may have waited for a client that does not read
	c.sent(n, how)
	if how == held {
		c.hold(false)
	}
	c.owner.o.Counters.BytesWritten.Add(uint64(n))
	c.lost = c.lost || err != nil
}

// finish ends this side of the conversation, if that can be done apart from the other.
func (c *portableConn) finish() {
	c.session.Close()
	half, ok := c.net.(interface{ CloseWrite() error })
	c.lost = !ok || half.CloseWrite() != nil
	c.linger(c.owner.clock.Steady())
}

// read reads once. It ends without input at the time until, or when the session is woken.
func (c *portableConn) read(until int64) {
	c.late = false
	if !c.beginWait(until) {
		c.waited()
		return
	}
	c.in.rest()
	n, err := c.net.Read(c.in.space(c.need()))
	woken := c.endWait()
	c.received(n, c.waited())
	c.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0: // an error comes again
	case err == io.EOF:
		c.receivedAll()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		c.lost = true
	case !woken:
		c.late = !asked(c.net, unread) // the goroutine may have been held up
	}
}

// sleep waits until the session is woken, or until a time (0: none). It does not read.
func (c *portableConn) sleep(until int64) {
	if c.beginWait(until) {
		c.mu.Lock()
		for !c.woken && !c.rung {
			c.wakeup.Wait()
		}
		c.mu.Unlock()
		c.endWait()
	}
	c.waited()
}

// beginWait sets the time at which the next wait ends (0: none), or is false when that was
// interrupted before.
func (c *portableConn) beginWait(until int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken {
		c.woken = false
		return false
	}
	if c.passed {
		c.passed = false
		c.net.SetReadDeadline(time.Time{})
	}
	if c.until = until; until != 0 {
		c.setTimerLocked(c.owner.clock.until(until))
	}
	return true
}

func (c *portableConn) setTimerLocked(d time.Duration) {
	switch {
	case d <= 0:
		c.rung = true
		c.endWaitLocked()
	case c.timer == nil:
		c.timer = c.owner.clock.exact.AfterFunc(d, c.ring)
	default:
		c.timer.Reset(d)
	}
}

// endWait tells whether the wait was interrupted.
func (c *portableConn) endWait() (woken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until != 0 && c.timer != nil {
		c.timer.Stop()
	}
	woken = c.woken
	c.until, c.woken, c.rung = 0, false, false
	return woken
}
