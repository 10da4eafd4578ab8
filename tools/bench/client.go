package bench

import (
	"bytes"
	"fmt"
	"net"
	"time"
)

// A client is one connection of a run and what it has measured.
type client struct {
	dialect
	conn    net.Conn
	in      []byte
	latency Histogram
	err     error
}

// run sets and gets in turn until the deadline, once at least, and leaves the queue as it found it.
func (c *client) run(deadline time.Time) {
	c.in = make([]byte, len(c.item.want)+64)
	for at := time.Now(); ; {
		at = c.ask(at, c.set, c.stored)
		at = c.ask(at, c.get, c.item)
		if c.err != nil || !at.Before(deadline) {
			return
		}
	}
}

// ask makes one request at the given time and returns the time at which its answer was there.
func (c *client) ask(at time.Time, request []byte, r reply) time.Time {
	if c.err != nil {
		return at
	}
	if _, c.err = c.conn.Write(request); c.err != nil {
		return at
	}
	for n := 0; ; {
		k, err := c.conn.Read(c.in[n:])
		n += k
		whole, ok := r.match(c.in[:n])
		switch {
		case !ok:
			c.err = fmt.Errorf("asked %.40q, got %.80q", request, c.in[:n])
			return at
		case whole:
			now := time.Now()
			c.latency.Add(now.Sub(at))
			return now
		case err != nil:
			c.err = fmt.Errorf("asked %.40q: %w", request, err)
			return at
		}
	}
}

// A reply is the answer that is expected to a request.
type reply struct {
	want []byte
	line bool // want is only the beginning of a line
}

// match tells whether got is the whole answer, and whether it can still become it.
func (r reply) match(got []byte) (whole, ok bool) {
	if r.line && len(got) > len(r.want) {
		return bytes.HasSuffix(got, []byte("\r\n")), bytes.HasPrefix(got, r.want)
	}
	return len(got) == len(r.want) && !r.line, bytes.HasPrefix(r.want, got)
}
