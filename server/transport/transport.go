// Package transport moves bytes between sockets and sessions. It knows nothing of the protocol:
// a session says how much input it needs, when it waits and until when, and what may take long.
package transport

import (
	"log/slog"

	"github.com/darner/darner/server/memcache"
)

// Options of a transport; all are needed.
type Options struct {
	// Session starts the session of a new connection. local: the peer is on this machine.
	// wake may be called from any goroutine and does not block.
	Session func(local bool, wake func()) *memcache.Session

	MaxConnections int                // more are told so and closed
	Counters       *memcache.Counters // of connections and bytes
	Logger         *slog.Logger
}

// refusal is what a client is told that is one too many.
const refusal = "SERVER_ERROR too many connections\r\n"
