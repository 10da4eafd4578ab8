package transport

// The transport of Linux: all connections belong to one loop, or to a few, each a goroutine that
// waits for all of its sockets at once. See loop_linux.go for what it does then.

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Epoll serves connections from loops.
type Epoll struct {
	o         Options
	door      *door
	loops     []*loop
	turn      atomic.Uint32 // whose the next connection is
	workers   *workers      // for what may wait for the disk
	streamers *workers      // for bodies of large items
	buffers   pools
	calm      *calm

	clock    clock
	now      atomic.Int64 // Unix milliseconds, as of the last time a loop looked
	steady   atomic.Int64 // the clock's, likewise
	draining atomic.Int64 // until when, by the clock, requests on their way are read; 0: not stopping
	cutting  atomic.Bool  // connections that are still busy are ended
}

// NewEpoll returns a transport that serves nothing yet. It fails when the system is out of descriptors.
func NewEpoll(o Options) (*Epoll, error) {
	t := &Epoll{o: o, workers: newWorkers(mostWorkers), streamers: newWorkers(mostStreamers), calm: newCalm(), clock: startClock()}
	t.door = newDoor(o, t.admit)
	t.tick()
	for range o.Loops {
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

// Serve is Transport's.
func (t *Epoll) Serve(l net.Listener) { t.door.serve(l) }

// Now is Transport's: as of when the loop was woken that serves the session.
func (t *Epoll) Now() int64 { return t.now.Load() }

// Steady is Transport's, likewise.
func (t *Epoll) Steady() int64 { return t.steady.Load() }

func (t *Epoll) tick() {
	now := t.o.look(time.Now())
	t.now.Store(now.UnixMilli())
	t.steady.Store(t.clock.at(now))
}

// admit gives a connection to a loop. The runtime's poller must not watch its socket too, so the
// loop gets the socket under another descriptor.
func (t *Epoll) admit(c net.Conn) error {
	raw, err := c.(syscall.Conn).SyscallConn()
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
	_, tcp := c.(*net.TCPConn)
	k := newLink(l, fd, tcp, isLocal(c))
	c.Close()
	l.post(k)
	return nil
}

// Stop is Transport's.
func (t *Epoll) Stop(ctx context.Context) {
	stop(ctx, t.o, t.drain, t.door.done, t.cutOff)
	t.calm.stop()
	for _, l := range t.loops {
		l.quit.Store(true)
		l.ring()
	}
}

func (t *Epoll) drain() {
	t.draining.Store(t.clock.at(time.Now()) + drainTime.Milliseconds())
	t.door.close()
	t.ringAll()
}

func (t *Epoll) cutOff() {
	t.cutting.Store(true)
	t.ringAll()
}

func (t *Epoll) ringAll() {
	for _, l := range t.loops {
		l.ring()
	}
}
