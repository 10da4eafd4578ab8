package transport

// A client that is known to be gone, or as good as: it sends no more, or its system does not answer. The socket takes
// an answer for it all the same. Items of plain gets in such an answer are not gone until its system has acknowledged
// what it was sent.

import "github.com/darner/darner/server/memcache"

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
	pause  int64 // the last one
}

// doubted tells, before an answer is sent, whether an item in it may go out to nobody. silent asks the system.
func (d *doubt) doubted(s *memcache.Session, now int64, silent func() bool) bool {
	switch {
	case d.unsure > 0:
		return true
	case !s.Unconfirmed():
		return false
	}
	d.since = now
	return d.leaves || now-d.heard >= quietTime && silent()
}

// nextPause is how long, in milliseconds, until its system is looked at again.
func (d *doubt) nextPause() int64 {
	d.pause = min(max(2*d.pause, firstLook), lastLook)
	return d.pause
}
