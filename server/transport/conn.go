package transport

// A connection, as far as the transports have it in common: its session, what the client sent, and what the
// policy wants to know.

import "github.com/darner/darner/server/memcache"

type conn struct {
	session *memcache.Session
	peer    string // its address
	in      input
	ends
	doubt
}

// view is what the policy looks at, without what only the system knows.
func (c *conn) view(now, stopping int64) view {
	v := view{
		now: now, stopping: stopping, ends: c.ends,
		state: c.session.State(),
		lacks: c.session.Need() > len(c.in.pending()), room: len(c.in.pending()) < classes[largest],
		unsure: c.unsure > 0, pause: c.pause,
	}
	if at, timed := c.session.Deadline(); timed {
		v.deadline = at
	}
	return v
}

// process lets the session work on what came, and returns what it answers, in out.
func (c *conn) process(out []byte) []byte {
	n, out := c.session.Process(c.in.pending(), out)
	c.in.consume(n)
	c.fresh, c.late = false, false
	return out
}

// need is how much input there has to be room for.
func (c *conn) need() int {
	if c.lingers != 0 {
		return 0
	}
	return c.session.Need()
}

// received notes that n bytes were read into the space of its input.
func (c *conn) received(n int, now int64) {
	c.in.filled(n)
	if n > 0 {
		c.heard = now
	}
	if c.lingers != 0 {
		c.in.consume(len(c.in.pending()))
	}
}

// receivedAll notes that the client sends no more.
func (c *conn) receivedAll() { c.halfEnd, c.leaves = true, true }

// linger notes that this side has ended the connection.
func (c *conn) linger(now int64) {
	c.lingers = now + lingerTime.Milliseconds()
	c.in.consume(len(c.in.pending()))
}
