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
