package transport

// One connection of the portable transport. Its goroutine does what the policy says, and waits
// where the policy waits.

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

// watchPause is the pause, in milliseconds, between checks whether a client is gone that waits and
// cannot be read from.
const watchPause = 1000

type portableConn struct {
	conn
	owner   *portable
	net     net.Conn
	cork    func(bool)  // see corker
	ackNow  func()      // see acknowledger
	outSize int         // size of the last output: the next one is likely similar
	timer   clock.Timer // ends a wait at its time; nil until a wait has one

	mu     sync.Mutex
	until  int64     // when, by the clock, the current wait ends; 0: there is none, or no such time
	woken  bool      // interrupted since the goroutine last looked
	rung   bool      // the time of the wait has come
	passed bool      // the read deadline is in the past
	wakeup sync.Cond // signals woken and rung, to a wait that does not read
}

func newPortableConn(t *portable, nc net.Conn, peer memcache.Peer) *portableConn {
	c := &portableConn{owner: t, net: nc, cork: corker(nc), ackNow: acknowledger(nc)}
	c.wakeup.L = &c.mu
	c.peer, c.in = peer.Addr, newInput(&t.buffers)
	c.session = t.o.Session(peer, c.interrupt)
	return c
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
	if v.unconfirmed {
		ago := now - c.unackedSince
		v.ackMissing = askSocket(c.net, func(fd int) bool { return ackMissing(fd, ago) })
		v.hungUp = v.ackMissing && hungUp(c.net)
	}
	v.undelivered = v.timedOut && v.lingerUntil != 0 && askSocket(c.net, undelivered)
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
		c.sleep(min(a.until, c.owner.clock.Steady()+watchPause))
		c.halfClosed = halfClosed(c.net)
	case stepCheckAck:
		c.checkAckLater()
		c.sleep(a.until)
	case stepWait:
		c.sleep(a.until)
	}
	return true
}

// waited notes that there may be news, and returns the time.
func (c *portableConn) waited() (now int64) {
	c.fresh = true
	return c.owner.clock.tick()
}

// answer lets the session work on its input and sends its answers.
func (c *portableConn) answer() {
	buf := c.owner.buffers.get(min(c.outSize, classes[largest]))
	buf.b = c.process(buf.b)
	if len(buf.b) > 0 {
		c.outSize = len(buf.b)
		c.send(buf.b)
	}
	c.owner.buffers.put(buf)
}

// send sends answers, given their text. Payloads that are lent are copied on the way, some at a
// time: what is written need not be a socket.
func (c *portableConn) send(text []byte) {
	if !c.session.Lends() {
		c.write(text)
		return
	}
	buf := c.owner.buffers.get(classes[largest])
	for !c.lost && (len(text) > 0 || c.session.Lends()) {
		if buf.b = c.gather(text, buf.b[:0]); len(buf.b) > 0 {
			text = text[c.write(buf.b):]
		}
	}
	c.owner.buffers.put(buf)
}

// gather appends to b what is to be sent next, as much of it as b has room for.
func (c *portableConn) gather(text, b []byte) []byte {
	var parts [memcache.MaxParts]memcache.Part
	for _, p := range c.session.Parts(text, parts[:0]) {
		n, err := p.CopyTo(b[len(b):cap(b)])
		if err != nil {
			c.session.Unreadable(err)
			c.lost = true
			return nil
		}
		b = b[:len(b)+n]
	}
	return b
}

// write returns how much of what it sent was text.
func (c *portableConn) write(b []byte) (text int) {
	now := c.owner.clock.Steady()
	how := c.howToSend(now, c.quiet(now) && askSocket(c.net, unresponsive))
	if how == sendCorked {
		c.cork(true)
	}
	n, err := c.net.Write(b)
	c.owner.clock.tick() // it may have waited for a client that does not read
	text = c.sent(n, how)
	if how == sendCorked {
		c.cork(false)
	}
	c.owner.o.Counters.BytesWritten.Add(uint64(n))
	c.lost = c.lost || err != nil
	return text
}

// finish ends this side of the connection, if the two sides can end separately.
func (c *portableConn) finish() {
	c.session.Close()
	half, ok := c.net.(interface{ CloseWrite() error })
	c.lost = !ok || half.CloseWrite() != nil
	c.linger(c.owner.clock.Steady())
}

// read reads once. It ends without input at the time until, or when the session is woken.
func (c *portableConn) read(until int64) {
	c.timedOut = false
	if !c.beginWait(until) {
		c.waited()
		return
	}
	if c.paused() {
		c.ackNow()
	}
	c.in.shrink()
	n, err := c.net.Read(c.in.space(c.need()))
	woken := false
	if n == 0 || until != 0 { // otherwise there is nothing to end
		woken = c.endWait()
	}
	c.received(n, c.waited())
	c.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0: // an error comes again
	case err == io.EOF:
		c.receivedAll()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		c.lost = true
	case !woken:
		c.timedOut = !askSocket(c.net, unread) // the goroutine may have been delayed
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

// beginWait sets the time at which the next wait ends (0: none). It is false if an interrupt came
// first.
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
		c.wakeLocked()
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

// interrupt ends the current or the next wait. Any goroutine may call it.
func (c *portableConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = true
	c.wakeLocked()
}

// ring is called by the timer. It may come late, during another wait than the one it was set for.
func (c *portableConn) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until != 0 && c.owner.clock.until(c.until) <= 0 {
		c.rung = true
		c.wakeLocked()
	}
}

// wakeLocked ends the current wait, whether it reads or not.
func (c *portableConn) wakeLocked() {
	c.passed = true
	c.net.SetReadDeadline(past)
	c.wakeup.Signal()
}
