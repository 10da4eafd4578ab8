package transport

// A client that is known to be gone, or as good as: it sends no more, or its system does not answer. The
// socket takes an answer for it all the same. Items of plain gets in such an answer are not gone until its
// system has acknowledged what it was sent.

const (
	// quietTime is the silence, in milliseconds, after which the system is asked what it knows of a client
	// before an item goes out to it.
	quietTime = 250
	// firstLook and lastLook bound the pauses, in milliseconds, between looks at what such a client has taken.
	firstLook = 1
	lastLook  = 1000
)

// doubt is what a connection knows of a client that may be gone.
type doubt struct {
	heard  int64 // when, by the clock, something came from it
	leaves bool  // it has said that it sends no more, or its system has
	unsure int   // bytes that the socket took and the session was not told of
	since  int64 // when, by the clock, it took the first of them
	pause  int64 // until its system is looked at again
}

// sending is how an answer goes out.
type sending uint8

const (
	plain   sending = iota
	held            // with its end kept back until the items in it are noted to be gone: a client that has it finds the server in no other state, whenever that dies
	doubted         // perhaps to nobody
)

// quiet tells whether the system is to be asked of the client before an answer goes out.
func (c *conn) quiet(now int64) bool {
	return now-c.heard >= quietTime && c.unsure == 0 && !c.leaves && c.session.Unconfirmed()
}

// sending is how the next answer goes out; silent is what the system says of a quiet client.
func (c *conn) sending(now int64, silent bool) sending {
	switch {
	case c.unsure > 0:
		return doubted
	case !c.session.Unconfirmed():
		return plain
	case c.leaves || silent:
		c.since, c.pause = now, firstLook
		return doubted
	}
	return held
}

// sent notes that the socket took n bytes.
func (c *conn) sent(n int, how sending) {
	if how == doubted {
		c.unsure += n
		return
	}
	c.session.Sent(n)
}

// lookLater notes that the client's system has not acknowledged what it was sent.
func (c *conn) lookLater() { c.pause = min(2*c.pause, lastLook) }

// confirm notes that it has.
func (c *conn) confirm() {
	c.session.Sent(c.unsure)
	c.unsure = 0
}
