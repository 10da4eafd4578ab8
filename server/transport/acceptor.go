package transport

// The acceptor accepts connections and counts them. The transports of a server share one.

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/wal/clock"
)

// refusal is sent to a client over the limit of connections.
const refusal = "SERVER_ERROR too many connections\r\n"

type acceptor struct {
	o     Options
	clock clock.Clock
	done  chan struct{} // closed when the acceptor is closed and no connection is left
	quit  chan struct{} // closed by close

	warnAt atomic.Int64 // the steady time from which on a failure is logged again

	mu        sync.Mutex
	listeners []net.Listener
	most      int // connections at a time
	active    int // connections
	accepting int // listeners that a goroutine accepts from
	closed    bool
}

func newAcceptor(o Options) *acceptor {
	return &acceptor{
		o: o, clock: o.Clock.exact, most: o.MaxConnections,
		done: make(chan struct{}), quit: make(chan struct{}),
	}
}

// acceptFrom accepts connections on l in the background, until close, which closes l. admit starts
// a connection; if it fails it is called again later.
func (a *acceptor) acceptFrom(l net.Listener, admit admission) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listeners = append(a.listeners, l)
	a.accepting++
	go a.acceptLoop(l, admit) // until close
}

// admission starts a connection. If it fails it leaves the connection alone.
type admission func(net.Conn, memcache.Peer) error

// Pauses between attempts to accept when the system is out of descriptors or memory.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

func (a *acceptor) acceptLoop(l net.Listener, admit admission) {
	defer a.update(func() { a.accepting-- })
	for {
		var c net.Conn
		err := a.retry(l, func() (err error) {
			c, err = l.Accept()
			return err
		})
		if err != nil {
			return
		}
		a.accept(l, c, admit)
	}
}

// accept starts a connection. If that fails for now the connection waits.
func (a *acceptor) accept(l net.Listener, c net.Conn, admit admission) {
	if !a.o.Descriptors.Take() {
		if a.mayWarn() {
			a.o.Logger.Warn("refusing connections: others need all descriptors",
				"address", l.Addr().String(), "hint", fewFiles)
		}
		a.refuse(c)
		return
	}
	if !a.enter() {
		a.o.Descriptors.Give()
		a.refuse(c)
		return
	}
	peer := peerOf(c)
	a.o.Logger.Debug("client connected", "peer", peer.Addr)
	if err := a.retry(l, func() error { return admit(c, peer) }); err != nil {
		c.Close()
		a.leave()
	}
}

// fewFiles is what helps when descriptors are short.
const fewFiles = "is the limit of open files too low? (ulimit -n, LimitNOFILE)"

// retry calls try until it succeeds. When the acceptor is closed it fails with net.ErrClosed.
func (a *acceptor) retry(l net.Listener, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := try()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return err
		}
		if fewDescriptors(err) && a.o.Descriptors.Shed() {
			continue
		}
		if a.mayWarn() {
			a.o.Logger.Warn("cannot accept connections for now", "address", l.Addr().String(),
				"error", err, "hint", fewFiles)
		}
		if !clock.Wait(a.clock, pause, a.quit) {
			return net.ErrClosed
		}
	}
}

// fewDescriptors reports whether the process or the machine has no descriptor left, although
// Descriptors has.
func fewDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// mayWarn is true once a minute, because a shortage may come and go.
func (a *acceptor) mayWarn() bool {
	now, next := int64(clock.Steady(a.clock)), a.warnAt.Load()
	return now >= next && a.warnAt.CompareAndSwap(next, now+int64(time.Minute))
}

// refuse tells a client that it is over the limit of connections, or of descriptors.
func (a *acceptor) refuse(c net.Conn) {
	a.o.Counters.RejectedConnections.Add(1)
	c.SetWriteDeadline(refuseDeadline())
	c.Write([]byte(refusal))
	c.Close()
}

// enter counts a new connection. It is false if there are too many or the server stops.
func (a *acceptor) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.active >= a.most || a.closed {
		return false
	}
	a.active++
	a.o.Counters.Connections.Store(uint64(a.active))
	a.o.Counters.TotalConnections.Add(1)
	return true
}

// leave counts a connection that has ended.
func (a *acceptor) leave() {
	a.o.Descriptors.Give()
	a.update(func() {
		a.active--
		a.o.Counters.Connections.Store(uint64(a.active))
	})
}

// update makes a change and closes done if nothing is left.
func (a *acceptor) update(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	a.endLocked()
}

func (a *acceptor) endLocked() {
	if !a.closed || a.active > 0 || a.accepting > 0 {
		return
	}
	select {
	case <-a.done:
	default:
		close(a.done)
	}
}

// close ends accepting.
func (a *acceptor) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	close(a.quit)
	for _, l := range a.listeners {
		l.Close()
	}
	a.endLocked()
}
