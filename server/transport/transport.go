// Package transport moves bytes between sockets and sessions. It knows nothing of the protocol:
// a session says how much input it needs, when it waits and until when, and what may take long.
//
// There are two. Epoll, on Linux, serves all connections from one goroutine or a few; Portable has
// a goroutine for each connection and runs everywhere. What they promise is the same, and one suite
// of tests holds both to it.
package transport

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/server/metrics"
)

// Transport serves connections.
type Transport interface {
	// Serve accepts connections on l in the background, until Stop, which closes l.
	Serve(l net.Listener)

	// Stop closes the listeners, has waiting GETs answered, answers what was asked before, closes the
	// connections and returns when all are gone. Connections still busy when ctx ends (a client that
	// does not read) are cut off: what they were being sent returns to its queue. Those that even then
	// wait for the disk are left behind. Call it once.
	Stop(ctx context.Context)

	// Now is the time in Unix milliseconds, as a session may know it while it works.
	Now() int64

	// Steady is a count of milliseconds that nobody sets, likewise; what a session's Deadline means.
	Steady() int64
}

// Options of a transport; all are needed but Look.
type Options struct {
	// Session starts the session of a new connection. local: the peer is on this machine.
	// wake may be called from any goroutine and does not block.
	Session func(local bool, wake func()) *memcache.Session

	Look func(moment time.Time) // nil, or to be told the time whenever a transport asks for it; does not block

	MaxConnections int               // more are told so and closed
	Counters       *metrics.Counters // of connections and bytes
	Logger         *slog.Logger
	Loops          int // goroutines of Epoll; at least 1
}

func (o *Options) look(moment time.Time) time.Time {
	if o.Look != nil {
		o.Look(moment)
	}
	return moment
}

// refusal is what a client is told that is one too many.
const refusal = "SERVER_ERROR too many connections\r\n"

const (
	// lingerTime is how long a client may go on sending after its connection was ended.
	lingerTime = 2 * time.Second
	// drainTime bounds how long a stopping transport goes on reading requests that keep coming.
	drainTime = 250 * time.Millisecond
	// drainPause is how long a client is given, when the server stops, to have sent its requests.
	drainPause = 10 * time.Millisecond
	// cutOffTime is how long connections that were cut off are given to put back what they have in hand.
	cutOffTime = 500 * time.Millisecond
)

// stop is Stop for either transport: drain begins it, done is closed when all connections are gone,
// and cutOff ends those that are left.
func stop(ctx context.Context, o Options, drain func(), done <-chan struct{}, cutOff func()) {
	drain()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	o.Logger.Warn("cutting off connections that are still busy", "connections", o.Counters.Connections.Load())
	cutOff()
	select {
	case <-done:
	case <-time.After(cutOffTime):
		o.Logger.Error("connections wait for the disk and are left behind", "connections", o.Counters.Connections.Load())
	}
}
