// Package transport moves bytes between sockets and sessions. It knows nothing of the protocol: a
// session says how much input it needs, whether it waits and until when, and what may take long.
// That contract is memcache.Session's. It is no interface: there is one protocol, and what a
// transport asks of a session at every request are fields, read without a call.
//
// There are two transports, and each listener chooses one. The epoll transport, on Linux, serves
// all connections from one goroutine or a few. The portable one has a goroutine for each connection
// and runs everywhere. Their promises are the same, and one suite of tests holds both to them. All
// transports of a server share its limit of connections, its clock, its counters and its end.
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
	Best     Kind = iota // what is best on this system: epoll on Linux, elsewhere Portable
	Portable             // a goroutine each, on whatever net.Conn the listener accepts
)

// Listener accepts connections, which are served by a transport of its kind.
type Listener struct {
	net.Listener
	Kind Kind
}

// transport serves connections of one kind.
type transport interface {
	// admit starts a connection. If it fails it leaves the connection alone.
	admit(net.Conn, memcache.Peer) error
	// notify has all connections notice that the server is stopping, or cutting them off.
	notify()
	// close ends the transport's goroutines and gives back what it has. Connections that are left
	// then are abandoned.
	close()
}

// Descriptors are those that connections and files share.
type Descriptors interface {
	Take() bool // false if there is none
	Give()
	Shed() bool // has a file close one; false if none can do without
}

// Options of a server; all are needed.
type Options struct {
	// Session starts the session of a new connection. Any goroutine may call wake, which does not
	// block.
	Session func(peer memcache.Peer, wake func()) *memcache.Session

	Clock          *CoarseClock
	MaxConnections int               // a connection beyond is refused
	Descriptors    Descriptors       // a connection without one is refused
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
	stopping atomic.Int64 // until when, by the clock, it reads requests as it stops; 0: it does not
	cutting  atomic.Bool  // it closes connections that are still busy

	mu         sync.Mutex
	transports map[Kind]transport // each made for the first listener of its kind
}

// New returns a server without listeners.
func New(o Options) *Server {
	return &Server{o: o, clock: o.Clock, acceptor: newAcceptor(o), transports: map[Kind]transport{}}
}

// Serve accepts connections on listeners in the background, until Stop, which closes the listeners.
// If the system has no descriptors for a transport it fails and serves none of them.
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
	// lingerTime is how long a client may go on sending after this side ended the connection.
	lingerTime = 2 * time.Second
	// drainTime bounds how long a stopping server reads requests from a client that keeps sending.
	drainTime = 250 * time.Millisecond
	// drainPause is the silence after which a stopping server expects no more requests from a
	// client.
	drainPause = 10 * time.Millisecond
	// cutOffTime is how long connections that are cut off may take to return their items.
	cutOffTime = 500 * time.Millisecond
)

// Stop closes the listeners, answers waiting GETs and all requests sent before, closes the
// connections and returns when all are closed. When ctx ends, connections that are still busy (a
// client that does not read) are cut off: the items they were being sent return to their queues.
// Connections that wait for the disk even then are abandoned. Call it once.
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
	s.o.Logger.Warn("cutting off busy connections", "connections", connections.Load())
	s.cutting.Store(true)
	s.each(transport.notify)
	if clock.Wait(s.clock.exact, cutOffTime, s.acceptor.done) {
		s.o.Logger.Error("abandoning connections that wait for the disk",
			"connections", connections.Load())
	}
}

// SetMaxConnections has another bound apply from now on. Connections beyond it go on.
func (s *Server) SetMaxConnections(n int) { s.acceptor.update(func() { s.acceptor.most = n }) }

// ended is the last thing that happens to a connection.
func (s *Server) ended(c *conn) {
	s.o.Logger.Debug("client disconnected", "peer", c.peer)
	s.acceptor.leave()
}

// each calls do for each transport.
func (s *Server) each(do func(transport)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transports {
		do(t)
	}
}
