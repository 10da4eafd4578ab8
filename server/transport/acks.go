package transport

// Acknowledgements by the client's system. A socket takes an answer also for a client that is gone.
// Where that is likely, because the client sends no more or its system does not respond, the items
// of plain gets in an answer count as delivered only when the client's system has acknowledged it.

const (
	// quietTime is the silence, in milliseconds, after which the system is asked about a client
	// before an item is sent to it.
	quietTime = 250
	// firstAckPause and lastAckPause bound the pauses, in milliseconds, between checks of what the
	// client's system has acknowledged.
	firstAckPause = 1
	lastAckPause  = 1000
)

// acks is what a connection knows about a client that may be gone.
type acks struct {
	lastInput     int64 // when, by the clock, the client last sent something
	sendsNoMore   bool  // it has said so, or its system has
	unacked       int   // bytes that the socket took and the session does not know of
	unackedSince  int64 // when, by the clock, the socket took the first of them
	ackCheckPause int64 // milliseconds until the next check
}

// sending is how an answer is sent.
type sending uint8

const (
	sendPlain sending = iota
	// sendCorked holds the end of the answer back until its items are confirmed. So a client that
	// has the answer never gets these items again, even if the server dies at that moment.
	sendCorked
	sendUnconfirmed // the client may be gone: confirm when its system has acknowledged the answer
)

// quiet tells whether to ask the system about the client before an answer is sent.
func (c *conn) quiet(now int64) bool {
	return now-c.lastInput >= quietTime && c.unacked == 0 && !c.sendsNoMore &&
		c.session.Unconfirmed()
}

// howToSend tells how to send the next answer. unresponsive is what the system says of a quiet
// client.
func (c *conn) howToSend(now int64, unresponsive bool) sending {
	switch {
	case c.unacked > 0:
		return sendUnconfirmed
	case !c.session.Unconfirmed():
		return sendPlain
	case c.sendsNoMore || unresponsive:
		c.unackedSince, c.ackCheckPause = now, firstAckPause
		return sendUnconfirmed
	}
	return sendCorked
}

// sent notes that the socket took n bytes, and returns how many of them were text.
func (c *conn) sent(n int, how sending) (text int) {
	text = c.session.Took(n)
	if how == sendUnconfirmed {
		c.unacked += n
		return text
	}
	c.session.Sent(n)
	return text
}

// checkAckLater notes that the client's system has not acknowledged its answers yet.
func (c *conn) checkAckLater() { c.ackCheckPause = min(2*c.ackCheckPause, lastAckPause) }

// confirm notes that it has.
func (c *conn) confirm() {
	c.session.Sent(c.unacked)
	c.unacked, c.timedOut = 0, false
}
