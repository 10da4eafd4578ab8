package transport

// The transport of Linux: all connections belong to one loop, or to a few, each a goroutine that
// waits for all of its sockets at once. See loop_linux.go for what it does then.

import (
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

// epoll serves connections from loops.
type epoll struct {
	*Server
	loops     []*loop
	turn      atomic.Uint32 // whose the next connection is
	workers   *workers      // for what may wait for the disk
	streamers *workers      // for bodies of large items
	releaser  *memoryReleaser
}

// newBest returns the system's best transport: epoll here.
func newBest(s *Server) (transport, error) { return newEpoll(s) }

// newEpoll fails when the system is out of descriptors.
func newEpoll(s *Server) (*epoll, error) {
	t := &epoll{Server: s, workers: newWorkers(mostWorkers), streamers: newWorkers(mostStreamers), releaser: newMemoryReleaser(s.clock.exact)}
	for range s.o.Loops {
		l, err := newLoop(t)
		if err != nil {
			for _, l := range t.loops {
				l.release()
			}
			return nil, err
		}
		t.loops = append(t.loops, l)
	}
	for _, l := range t.loops {
		go l.run()
	}
	return t, nil
}

// admit is transport's: it gives the connection to a loop. The runtime's poller must not watch its socket
// too, so the loop gets the socket under another descriptor.
func (t *epoll) admit(nc net.Conn, peer memcache.Peer) error {
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	var failed error
	if err := raw.Control(func(own uintptr) {
		fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	l := t.loops[t.turn.Add(1)%uint32(len(t.loops))]
	_, tcp := nc.(*net.TCPConn)
	c := newEpollConn(l, fd, tcp, peer)
	nc.Close()
	l.post(c)
	return nil
}

// notify is transport's.
func (t *epoll) notify() {
	for _, l := range t.loops {
		l.ring()
	}
}

// close is transport's.
func (t *epoll) close() {
	t.releaser.stop()
	for _, l := range t.loops {
		l.quit.Store(true)
		l.ring()
	}
}
