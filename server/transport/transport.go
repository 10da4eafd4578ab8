// Package transport moves bytes between sockets and sessions. It knows nothing of the protocol: a
// session says how much input it needs, when it waits and until when, and what may take long. That
// contract is memcache.Session's, which is used as the concrete type that it is: there is one protocol,
// and what is asked of a session for every request are fields, which are read without a call.
//
// There are two transports, and each listener has its own. One, on Linux, serves all connections from
// one goroutine or a few; the other has a goroutine for each connection and runs everywhere. What they
// promise is the same, and one suite of tests holds both to it. All of a server's have their limit of
// connections, clock, counters and end in common.
package transport

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/wal/clock"
)

// Kind is how connections are served.
type Kind uint8

const (
	Best     Kind = iota // as is best on this system: by epoll on Linux, elsewhere as Portable
	Portable             // a goroutine each, on whatever net.Conn the listener accepts
)

// Listener is a way in, and how those are served who come by it.
type Listener struct {
	net.Listener
	Kind Kind
}

// transport serves connections of one kind.
type transport interface {
	// admit starts a connection, or fails and leaves it alone.
	admit(net.Conn, memcache.Peer) error
	// notify has all connections notice that the server is stopping, or cutting them off.
	notify()
	// close gives back what the transport has; connections that are left are left behind.
	close()
}

// Options of a server; all are needed.
type Options struct {
	// Session starts the session of a new connection. wake may be called from any goroutine and does not
	// block.
	Session func(peer memcache.Peer, wake func()) *memcache.Session

	Clock          *CoarseClock
	MaxConnections int               // more are told so and closed
	Counters       *metrics.Counters // of connections and bytes
	Logger         *slog.Logger
	Loops          int // goroutines that serve by epoll; at least 1
}

// Server accepts connections and has each served by the transport of its listener.
type Server struct {
	o        Options
	clock    *CoarseClock
	acceptor *acceptor
	buffers  pools
	stopping atomic.Int64 // until when, by the clock, requests on their way are read; 0: it does not stop
	cutting  atomic.Bool  // connections that are still busy are ended

	mu         sync.Mutex
	transports map[Kind]transport // made for the first listener of their kind
}

// New returns a server without listeners.
func New(o Options) *Server {
	return &Server{o: o, clock: o.Clock, acceptor: newAcceptor(o), transports: map[Kind]transport{}}
}

// Serve accepts connections on listeners in the background, until Stop, which closes them. When the system is
// out of descriptors for a transport it fails and serves none of them.
func (s *Server) Serve(listeners ...Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range listeners {
		if s.transports[l.Kind] != nil {
			continue
		}
		t, err := s.newTransport(l.Kind)
		if err != nil {
			return err
		}
		s.transports[l.Kind] = t
	}
	for _, l := range listeners {
		s.acceptor.acceptFrom(l, s.transports[l.Kind].admit)
	}
	return nil
}

func (s *Server) newTransport(kind Kind) (transport, error) {
	if kind == Portable {
		return newPortable(s), nil
	}
	return newBest(s)
}

const (
	// lingerTime is how long a client may go on sending after its connection was ended.
	lingerTime = 2 * time.Second
	// drainTime bounds how long a stopping server goes on reading requests that keep coming.
	drainTime = 250 * time.Millisecond
	// drainPause is how long a client is given, when the server stops, to have sent its requests.
	drainPause = 10 * time.Millisecond
	// cutOffTime is how long connections that were cut off are given to put back what they have in hand.
	cutOffTime = 500 * time.Millisecond
)

// Stop closes the listeners, has waiting GETs answered, answers what was asked before, closes the
// connections and returns when all are gone. Connections still busy when ctx ends (a client that
// does not read) are cut off: what they were being sent returns to its queue. Those that even then
// wait for the disk are left behind. Call it once.
func (s *Server) Stop(ctx context.Context) {
	defer s.each(transport.close)
	s.stopping.Store(s.clock.tick() + drainTime.Milliseconds())
	s.acceptor.close()
	s.each(transport.notify)
	select {
	case <-s.acceptor.done:
		return
	case <-ctx.Done():
	}
	connections := &s.o.Counters.Connections
	s.o.Logger.Warn("cutting off connections that are still busy", "connections", connections.Load())
	s.cutting.Store(true)
	s.each(transport.notify)
	if clock.Wait(s.clock.exact, cutOffTime, s.acceptor.done) {
		s.o.Logger.Error("connections wait for the disk and are left behind", "connections", connections.Load())
	}
}

// each does something with each transport.
func (s *Server) each(do func(transport)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transports {
		do(t)
	}
}
