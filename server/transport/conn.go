package transport

// What connections of both transports have in common: a session, its input, and what the policy
// wants to know.

import "github.com/darner/darner/server/memcache"

type conn struct {
	session *memcache.Session
	peer    string // the client's address
	in      input
	progress
	acks
}

// view is what the policy looks at, except for what only the system knows.
func (c *conn) view(now, stopping int64) view {
	v := view{
		now: now, stopping: stopping, progress: c.progress,
		state:       c.session.State(),
		needsInput:  c.session.Need() > len(c.in.pending()),
		hasRoom:     len(c.in.pending()) < classes[largest],
		unconfirmed: c.unacked > 0, ackPause: c.ackCheckPause,
	}
	if at, timed := c.session.Deadline(); timed {
		v.deadline = at
	}
	return v
}

// process lets the session work on its input, and appends its answers to out.
func (c *conn) process(out []byte) []byte {
	n, out := c.session.Process(c.in.pending(), out)
	c.in.consume(n)
	c.fresh, c.timedOut = false, false
	return out
}

// need is how many bytes of input there must be room for.
func (c *conn) need() int {
	if c.lingerUntil != 0 {
		return 0
	}
	return c.session.Need()
}

// received notes that n bytes were read into the space of its input.
func (c *conn) received(n int, now int64) {
	c.in.filled(n)
	if n > 0 {
		c.lastInput = now
	}
	if c.lingerUntil != 0 {
		c.in.consume(len(c.in.pending()))
	}
}

// receivedAll notes that the client sends no more.
func (c *conn) receivedAll() { c.halfClosed, c.sendsNoMore = true, true }

// linger notes that this side has ended the connection.
func (c *conn) linger(now int64) {
	c.lingerUntil = now + lingerTime.Milliseconds()
	c.timedOut = false
	c.in.consume(len(c.in.pending()))
}

// paused reports whether the client may be waiting, in the middle of a request, for its system to
// be told that the beginning has come. Where TCP_NODELAY is not set, what a client sends by two
// calls leaves by one packet and, only after that was acknowledged, another. This system puts the
// acknowledgement off, for 40 ms on Linux, in order to send it along with the answer.
func (c *conn) paused() bool {
	const packet = 512 // bytes that are less than a full one, which waits for nothing
	return c.session.Need() > 1 && len(c.in.pending()) < packet && c.lingerUntil == 0
}
