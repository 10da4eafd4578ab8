package transport

// The portable transport: a goroutine per connection on package net. It runs everywhere.

import (
	"net"
	"sync"

	"github.com/darner/darner/server/memcache"
)

type portable struct {
	*Server
	mu    sync.Mutex
	conns map[*portableConn]struct{}
}

func newPortable(s *Server) *portable {
	return &portable{Server: s, conns: map[*portableConn]struct{}{}}
}

// admit is transport's.
func (t *portable) admit(nc net.Conn, peer memcache.Peer) error {
	c := newPortableConn(t, nc, peer)
	t.mu.Lock()
	t.conns[c] = struct{}{}
	t.mu.Unlock()
	if t.stopping.Load() != 0 { // it may have begun since the connection was accepted
		c.session.Drain()
	}
	go c.run()
	return nil
}

// leave is the end of c.
func (t *portable) leave(c *portableConn) {
	t.o.Logger.Debug("client gone", "peer", c.peer)
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
	t.acceptor.leave()
}

// notify is transport's.
func (t *portable) notify() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.session.Drain()
		if t.cutting.Load() {
			c.net.Close()
		}
		c.interrupt()
	}
}

// close is transport's.
func (t *portable) close() {}
