package transport

// A loop: it waits until any of its sockets has something, until somebody wakes one of its sessions,
// or until a time has come; then it sees to each, for a bounded while, and waits again. All that it
// has is its own but the mailbox. Nothing it does waits for the disk: that is for the workers.

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/btree"
	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

type loop struct {
	owner *epoll
	epoll int          // the descriptor that all sockets, and the mailbox, are registered with
	byFD  []*epollConn // all connections, by descriptor
	in    *buffer      // lent to the connection being read from
	out   *buffer      // for the output of the session at work

	timers         *btree.BTreeG[*epollConn] // connections with a time, the earliest first
	ready          []*epollConn              // connections that had their turn and have more to do
	recentlyActive []*epollConn              // connections whose sessions may hold more memory than one that is silent needs
	idleAt         int64                     // when, by the clock, to look for silent ones; 0: no need
	draining       bool                      // connections were told that the server stops
	busy           bool                      // several had something: meanwhile others are likely to

	mailbox
	quit atomic.Bool
}

// inputSize is what is read at once of a client that sends requests: more of them would keep the
// others waiting.
const inputSize = 16 << 10

func newLoop(t *epoll) (*loop, error) {
	l := &loop{owner: t, in: t.buffers.get(classes[largest]), out: t.buffers.get(memcache.OutputLimit)}
	l.event = -1
	l.timers = btree.NewG(16, func(a, b *epollConn) bool {
		return a.due < b.due || a.due == b.due && a.fd < b.fd
	})
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create", err)
	}
	if l.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.event)})
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
	unix.Close(l.epoll)
}

// run serves until quit is set.
func (l *loop) run() {
	events := make([]unix.EpollEvent, 128)
	for !l.quit.Load() {
		l.noticeStop()
		l.readMail()
		l.runReady()
		n := l.wait(events)
		l.owner.clock.tick()
		for i := range events[:n] {
			l.handleEvent(&events[i])
		}
		l.ringTimers()
	}
	l.release()
}

// readMail sees to the connections that were posted.
func (l *loop) readMail() {
	posted := l.take()
	for i, c := range posted {
		posted[i] = nil
		c.posted.Store(false)
		l.handleWake(c)
	}
}

// runReady gives those another turn who have more to do.
func (l *loop) runReady() {
	n := len(l.ready)
	for i := range n {
		c := l.ready[i]
		l.ready[i] = nil
		c.queued = false
		if !c.closed && !c.working { // by now; it is posted when the job is done
			l.advance(c, 0)
		}
	}
	l.ready = l.ready[:copy(l.ready, l.ready[n:])]
}

// wait waits for events, until the next timer at the latest, and not at all while there is work.
//
// The kernel waits by its own clock, for as long as the next timer is away by the server's. Where that
// is not the machine's, as in tests, a loop looks at it when the kernel's wait is over, or before when
// it is rung: whoever has such a clock go on faster rings the loops.
func (l *loop) wait(events []unix.EpollEvent) int {
	if l.busy {
		if n := eventsNow(l.epoll, events); n > 0 {
			l.busy = n > 1
			return n
		}
	}
	timeout := l.timeout()
	if timeout != 0 && !l.sleep(true) {
		timeout = 0
	}
	n, err := unix.EpollWait(l.epoll, events, timeout)
	if timeout != 0 {
		l.sleep(false) // what the loop posts to itself needs no ring
	}
	if err != nil && err != unix.EINTR {
		panic(fmt.Sprintf("epoll_wait: %v", err)) // the arguments are wrong
	}
	l.busy = n > 1
	return max(n, 0)
}

// timeout is how many milliseconds to wait for, -1 for as long as it takes.
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
		l.rung()
		return
	}
	if c := l.byFD[e.Fd]; c != nil {
		l.handleEvents(c, e.Events)
	}
}

// setTimer sets the time at which a connection is looked at, 0 for none.
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

// ringTimers sees to those whose time has come. The time is asked for again for each, as a session does that
// may find it is not yet: another loop may have noted an earlier one.
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

// noticeStop tells all connections when the server stops, and when it cuts them off.
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
