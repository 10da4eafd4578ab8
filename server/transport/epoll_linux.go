package transport

// The epoll transport of Linux. Every connection belongs to one of a few loops. A loop is a
// goroutine that waits for all its sockets at once: see loop_linux.go.

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
	turn      atomic.Uint32 // counts connections, to spread them over the loops
	workers   *workers      // for jobs that may wait for the disk
	streamers *workers      // for bodies of large items
	releaser  *memoryReleaser
}

// newBest returns the system's best transport: epoll here.
func newBest(s *Server) (transport, error) { return newEpoll(s) }

// newEpoll fails if the system is out of descriptors.
func newEpoll(s *Server) (*epoll, error) {
	t := &epoll{
		Server: s, workers: newWorkers(maxWorkers), streamers: newWorkers(maxStreamers),
		releaser: newMemoryReleaser(s.clock.exact),
	}
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
		go l.run() // close ends it
	}
	return t, nil
}

// admit implements transport. It gives the connection to a loop, under a new descriptor: the
// runtime's poller must not watch the socket as well.
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

// notify implements transport.
func (t *epoll) notify() {
	for _, l := range t.loops {
		l.ring()
	}
}

// close implements transport.
func (t *epoll) close() {
	t.releaser.stop()
	for _, l := range t.loops {
		l.quit.Store(true)
		l.ring()
	}
	select {
	case <-t.acceptor.done:
	default: // a connection was abandoned, and a loop may be stuck with it
		return
	}
	for _, l := range t.loops {
		<-l.done
	}
}
