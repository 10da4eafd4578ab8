package memcache

// Where the servers differ whose clients are to work unchanged.

// Dialect is how the protocol is spoken.
type Dialect struct {
	Version            string // the answer to "version", one word
	FlushedAll         string // the answer to "flush_all" without a delay, one line without its end
	RelativeExptimeMax int64  // in seconds; a larger exptime is a Unix time

	// CloseAny has /close and /abort act on what the connection has open, whatever queue they name.
	// Then MaxOpenReads is for all queues together.
	CloseAny bool

	// EchoAsked answers a get with the key as it was asked for, options included, instead of the
	// queue's name. A client that looks for the key it asked for loses the item otherwise.
	EchoAsked bool

	Stats StatsFormat
}

// closeTogether reports whether /close and /abort of one queue act on open items of the other.
func (d *Dialect) closeTogether(a, b Queue) bool { return d.CloseAny || a == b }

// closedWith is the same for all queues of which that is true.
func (d *Dialect) closedWith(q Queue) Queue {
	if d.CloseAny {
		return nil
	}
	return q
}
