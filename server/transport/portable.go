package transport

// The portable transport: a goroutine per connection, on package net. It runs everywhere.

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

// admit implements transport.
func (t *portable) admit(nc net.Conn, peer memcache.Peer) error {
	c := newPortableConn(t, nc, peer)
	t.mu.Lock()
	t.conns[c] = struct{}{}
	t.mu.Unlock()
	if t.stopping.Load() != 0 { // the stop may have begun since the connection was accepted
		c.session.Drain()
	}
	go c.run() // until the connection is closed; Server.Stop waits for it
	return nil
}

// leave ends c.
func (t *portable) leave(c *portableConn) {
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
	t.ended(&c.conn)
}

// notify implements transport.
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

// close implements transport.
func (t *portable) close() {}
