package transport

// A loop waits until one of its sockets has something, one of its sessions is woken, or a timer is
// due. Then it handles each of these, for a bounded time, and waits again. Only the mailbox is
// shared with other goroutines. A loop never waits for the disk: workers do.

import (
	"math"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/google/btree"
	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

type loop struct {
	owner *epoll
	poll  *poller      // watches all sockets and the mailbox
	byFD  []*epollConn // all connections, by descriptor
	in    *buffer      // lent to the connection that is read from
	out   *buffer      // for the output of the session at work

	parts   []memcache.Part // for what is sent of it
	vectors [memcache.MaxParts]unix.Iovec

	timers         *btree.BTreeG[*epollConn] // connections with a timer, the earliest first
	ready          []*epollConn              // connections that had their turn and have more to do
	recentlyActive []*epollConn              // those whose sessions may have memory to release
	idleAt         int64                     // when, by the clock, to call releaseIdle; 0: no need
	draining       bool                      // connections were told that the server stops
	busy           bool                      // the last wait had several events: more are likely

	mailbox
	quit atomic.Bool
	done chan struct{} // closed when run has returned
}

// inputSize is how many bytes of requests are read at once: an item of 16 KiB and its request line.
// Reading more would delay the other connections.
const inputSize = 16<<10 + 512

func newLoop(t *epoll) (*loop, error) {
	l := &loop{
		owner: t, in: t.buffers.get(classes[largest]), out: t.buffers.get(memcache.OutputLimit),
		parts: make([]memcache.Part, 0, memcache.MaxParts), done: make(chan struct{}),
	}
	l.event = -1
	l.timers = btree.NewG(16, func(a, b *epollConn) bool {
		return a.due < b.due || a.due == b.due && a.fd < b.fd
	})
	var err error
	if l.poll, err = newPoller(runtime.GOMAXPROCS(0) > t.o.Loops); err != nil {
		return nil, err
	}
	if l.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = l.poll.control(unix.EPOLL_CTL_ADD, l.event, unix.EPOLLIN)
	}
	if err != nil {
		l.release()
		return nil, os.NewSyscallError("eventfd", err)
	}
	return l, nil
}

// release gives the descriptors back.
func (l *loop) release() {
	l.mailbox.close()
	l.poll.close()
}

// run serves until quit is set.
func (l *loop) run() {
	defer close(l.done)
	for !l.quit.Load() {
		l.noticeStop()
		l.readMail()
		l.runReady()
		events := l.wait()
		l.owner.clock.tick()
		for i := range events {
			l.handleEvent(&events[i])
		}
		l.ringTimers()
	}
	l.release()
}

// readMail handles the connections that were posted.
func (l *loop) readMail() {
	posted := l.takePosted()
	for i, c := range posted {
		posted[i] = nil
		c.posted.Store(false)
		l.handleWake(c)
	}
}

// runReady gives another turn to the connections that have more to do.
func (l *loop) runReady() {
	n := len(l.ready)
	for i := range n {
		c := l.ready[i]
		l.ready[i] = nil
		c.queued = false
		if !c.closed && !c.working { // a worker posts it after the job
			l.advance(c, 0)
		}
	}
	l.ready = l.ready[:copy(l.ready, l.ready[n:])]
}

// wait waits for events until the next timer is due, and not at all while there is work.
//
// The wait lasts until the next timer by the server's clock, but is measured by the machine's. So a
// test that steps the server's clock must ring the loop.
func (l *loop) wait() []unix.EpollEvent {
	if l.busy {
		if events := l.poll.now(); len(events) > 0 {
			l.busy = len(events) > 1
			return events
		}
	}
	timeout := l.timeout()
	if timeout != 0 && !l.sleep(true) {
		timeout = 0
	}
	events := l.poll.wait(timeout, l.owner.clock.Steady())
	if timeout != 0 {
		l.sleep(false) // the loop need not ring itself
	}
	l.busy = len(events) > 1
	return events
}

// timeout is how many milliseconds to wait for events; -1: without end.
func (l *loop) timeout() int {
	if len(l.ready) > 0 {
		return 0
	}
	at := l.idleAt
	if c, ok := l.timers.Min(); ok && (at == 0 || c.due < at) {
		at = c.due
	}
	if at == 0 {
		return -1
	}
	ms := (l.owner.clock.until(at) + time.Millisecond - 1) / time.Millisecond
	return int(min(max(ms, 0), math.MaxInt32))
}

func (l *loop) handleEvent(e *unix.EpollEvent) {
	if int(e.Fd) == l.event {
		l.clearRing()
		return
	}
	if c := l.byFD[e.Fd]; c != nil {
		l.handleEvents(c, e.Events)
	}
}

// setTimer sets the time of a connection's timer; 0: none.
func (l *loop) setTimer(c *epollConn, at int64) {
	if c.due == at {
		return
	}
	if c.due != 0 {
		l.timers.Delete(c)
	}
	if c.due = at; at != 0 {
		l.timers.ReplaceOrInsert(c)
	}
}

// ringTimers handles the timers that are due. It asks for the time again for each, as the session
// will: another loop may have set the coarse clock back to an earlier look. The session may then
// find that its time has not come, and set the timer again.
func (l *loop) ringTimers() {
	for c, ok := l.timers.Min(); ok && c.due <= l.owner.clock.Steady(); c, ok = l.timers.Min() {
		l.timers.DeleteMin()
		c.due = 0
		l.handleTimer(c)
	}
	if l.idleAt != 0 && l.idleAt <= l.owner.clock.Steady() {
		l.releaseIdle()
	}
}

// noticeStop tells all connections that the server stops, or that it cuts them off.
func (l *loop) noticeStop() {
	cutOff := l.owner.cutting.Load()
	if !cutOff && (l.draining || l.owner.stopping.Load() == 0) {
		return
	}
	l.draining = true
	for _, c := range l.byFD {
		if c != nil {
			l.notifyStop(c, cutOff)
		}
	}
}
