package wal

// Tidy does the background's work on a log in the caller's goroutine, for tests that want to see
// its outcome.
func Tidy(l *Log) {
	l.prepare()
	l.tidy()
}

// WithOffsetCapacity bounds the offset file, for tests that want to see it rewritten.
func WithOffsetCapacity(o Options, bytes int) Options {
	o.offsetCapacity = bytes
	return o
}

// CursorDistance is how many records the cursor has to pass to hand out the next item, itself
// included; 0 when its place has to be looked up.
func CursorDistance(c *Consumer) (n int) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.f == nil {
		return 0
	}
	for at := c.at; at < c.f.seg.Tail(); n++ {
		_, next, err := c.f.seg.At(at)
		if err != nil {
			return -1
		}
		at = next
	}
	return n
}
