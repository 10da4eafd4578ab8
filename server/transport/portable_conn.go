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
)

// checkTime is how often, in milliseconds, a client is looked after that waits and cannot be read from.
const checkTime = 1000

// past is a deadline that interrupts a read at once.
var past = time.Unix(1, 0)

type portableConn struct {
	conn
	owner   *portable
	net     net.Conn
	hold    func(bool) // see holder
	outSize int        // size of the last output: the next is likely alike

	mu       sync.Mutex
	deadline time.Time // the read deadline in force
	woken    bool      // interrupted since the goroutine looked last
	wakeup   sync.Cond // signals woken, for a wait that cannot read
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
	c.deadline = past
	c.net.SetReadDeadline(past)
	c.wakeup.Signal()
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
	if !c.arm(c.owner.clock.when(until)) {
		c.waited()
		return
	}
	c.in.rest()
	n, err := c.net.Read(c.in.space(c.need()))
	c.received(n, c.waited())
	c.owner.o.Counters.BytesRead.Add(uint64(n))
	switch {
	case n > 0: // an error comes again
	case err == io.EOF:
		c.receivedAll()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		c.lost = true
	case !c.takeWakeup():
		c.late = !asked(c.net, unread) // the goroutine may have been held up
	}
}

// sleep waits until the session is woken, or until a time (0: none). It does not read.
func (c *portableConn) sleep(until int64) {
	late := false
	if until != 0 {
		defer time.AfterFunc(time.Until(c.owner.clock.when(until)), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			late = true
			c.wakeup.Signal()
		}).Stop()
	}
	c.mu.Lock()
	for !c.woken && !late {
		c.wakeup.Wait()
	}
	c.woken = false
	c.mu.Unlock()
	c.waited()
}

// arm sets the read deadline, or reports that an interrupt came first.
func (c *portableConn) arm(until time.Time) bool {
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

func (c *portableConn) takeWakeup() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	woken := c.woken
	c.woken = false
	return woken
}
