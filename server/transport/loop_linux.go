package transport

// A loop: it waits until any of its sockets has something, until somebody wakes one of its sessions,
// or until a time has come; then it sees to each, for a bounded while, and waits again. All that it
// has is its own but the mailbox. Nothing it does waits for the disk: that is for the workers.

import (
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/btree"
	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

type loop struct {
	owner *epoll
	epoll int     // the descriptor that all sockets are registered with
	event int     // an eventfd among them, that ends a wait
	byFD  []*link // all connections, by descriptor
	in    *buffer // lent to the connection being read from
	out   *buffer // for the output of the session at work

	alarms   *btree.BTreeG[*link] // connections with a time, the earliest first
	again    []*link              // connections that had their turn and have more to do
	restless []*link              // connections whose sessions may hold more memory than one that is silent needs
	restAt   int64                // when, by the clock, to look for silent ones; 0: no need
	draining bool
	busy     bool // several had something: meanwhile others are likely to

	mail mailbox
	quit atomic.Bool
}

// mailbox is how others reach a loop.
type mailbox struct {
	mu     sync.Mutex
	posted []*link
	spare  []*link // the other array, for posted
	asleep bool    // the loop waits, or is about to: whoever posts has to ring
	closed bool    // the loop has ended
}

// inputSize is what is read at once of a client that sends requests: more of them would keep the
// others waiting.
const inputSize = 16 << 10

func newLoop(t *epoll) (*loop, error) {
	l := &loop{owner: t, epoll: -1, event: -1, in: t.buffers.get(classes[largest]), out: t.buffers.get(memcache.OutputLimit)}
	l.alarms = btree.NewG(16, func(a, b *link) bool {
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
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	l.mail.closed = true
	unix.Close(l.epoll)
	if l.event >= 0 {
		unix.Close(l.event)
	}
}

// run serves until quit is set.
func (l *loop) run() {
	events := make([]unix.EpollEvent, 128)
	for !l.quit.Load() {
		l.noticeStop()
		l.readMail()
		l.goOn()
		n := l.wait(events)
		l.owner.clock.tick()
		for i := range events[:n] {
			l.see(&events[i])
		}
		l.ringAlarms()
	}
	l.release()
}

// post has the loop look at a connection, for what another goroutine did. It does not block.
func (l *loop) post(k *link) {
	if k.posted.Swap(true) {
		return
	}
	m := &l.mail
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posted = append(m.posted, k)
	if m.asleep {
		m.asleep = false
		l.ringLocked()
	}
}

// ring ends the loop's wait.
func (l *loop) ring() {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	l.ringLocked()
}

func (l *loop) ringLocked() {
	if !l.mail.closed {
		one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // in either byte order
		unix.Write(l.event, one[:])            // full is as good as rung
	}
}

// sleep notes whether the loop is about to wait; it may not when there is mail.
func (m *mailbox) sleep(asleep bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asleep = asleep && len(m.posted) == 0
	return m.asleep
}

// readMail sees to the connections that were posted.
func (l *loop) readMail() {
	m := &l.mail
	m.mu.Lock()
	posted := m.posted
	m.posted, m.spare = m.spare[:0], posted
	m.mu.Unlock()
	for i, k := range posted {
		posted[i] = nil
		k.posted.Store(false)
		l.summoned(k)
	}
}

// goOn gives those another turn who have more to do.
func (l *loop) goOn() {
	n := len(l.again)
	for i := range n {
		k := l.again[i]
		l.again[i] = nil
		k.queued = false
		switch {
		case k.closed, k.working: // by now; it is posted when the job is done
		case k.hungUp: // nothing tells when to read
			l.receive(k)
		default:
			l.advance(k)
		}
	}
	l.again = l.again[:copy(l.again, l.again[n:])]
}

// wait waits for events, until the next alarm at the latest, and not at all while there is work.
func (l *loop) wait(events []unix.EpollEvent) int {
	if l.busy {
		if n := eventsNow(l.epoll, events); n > 0 {
			l.busy = n > 1
			return n
		}
	}
	timeout := l.timeout()
	if timeout != 0 && !l.mail.sleep(true) {
		timeout = 0
	}
	n, err := unix.EpollWait(l.epoll, events, timeout)
	if timeout != 0 {
		l.mail.sleep(false) // what the loop posts to itself needs no ring
	}
	if err != nil && err != unix.EINTR {
		panic(fmt.Sprintf("epoll_wait: %v", err)) // the arguments are wrong
	}
	l.busy = n > 1
	return max(n, 0)
}

// timeout is how many milliseconds to wait for, -1 for as long as it takes.
func (l *loop) timeout() int {
	if len(l.again) > 0 {
		return 0
	}
	at := l.restAt
	if k, ok := l.alarms.Min(); ok && (at == 0 || k.due < at) {
		at = k.due
	}
	if at == 0 {
		return -1
	}
	return int(min(max(at-l.owner.clock.at(time.Now()), 0), math.MaxInt32))
}

func (l *loop) see(e *unix.EpollEvent) {
	if int(e.Fd) == l.event {
		var b [8]byte
		unix.Read(l.event, b[:])
		return
	}
	if k := l.byFD[e.Fd]; k != nil {
		l.told(k, e.Events)
	}
}

// alarm sets the time at which a connection is looked at, 0 for none.
func (l *loop) alarm(k *link, at int64) {
	if k.due == at {
		return
	}
	if k.due != 0 {
		l.alarms.Delete(k)
	}
	if k.due = at; at != 0 {
		l.alarms.ReplaceOrInsert(k)
	}
}

// ringAlarms sees to those whose time has come. The time is asked for again for each, as a session does that
// may find it is not yet: another loop may have noted an earlier one.
func (l *loop) ringAlarms() {
	for k, ok := l.alarms.Min(); ok && k.due <= l.owner.clock.Steady(); k, ok = l.alarms.Min() {
		l.alarms.DeleteMin()
		k.due = 0
		l.timeHasCome(k)
	}
	if l.restAt != 0 && l.restAt <= l.owner.clock.Steady() {
		l.rest()
	}
}

// restAfter is how long, in milliseconds, a session keeps what it needs for traffic.
const restAfter = 1000

// stirred notes that a session works, and is to rest some time after.
func (l *loop) stirred(k *link) {
	k.active = true
	if k.restless {
		return
	}
	k.restless = true
	l.restless = append(l.restless, k)
	if l.restAt == 0 {
		l.restAt = l.owner.clock.Steady() + restAfter
	}
}

// rest has the sessions rest that did nothing since it was last called.
func (l *loop) rest() {
	busy := l.restless[:0]
	for _, k := range l.restless {
		switch {
		case k.closed:
			l.owner.calm.note()
		case k.active, k.working:
			k.active = false
			busy = append(busy, k)
		default:
			k.session.Rest()
			k.restless = false
			l.owner.calm.note()
		}
	}
	clear(l.restless[len(busy):])
	l.restless, l.restAt = busy, 0
	if len(busy) > 0 {
		l.restAt = l.owner.clock.Steady() + restAfter
	} else if cap(busy) > 1024 {
		l.restless = nil
	}
}

// noticeStop has all connections drained, and later cut off, when the transport stops.
func (l *loop) noticeStop() {
	if !l.draining && l.owner.stopping.Load() != 0 {
		l.draining = true
		l.each(l.drain)
	}
	if l.owner.cutting.Load() {
		l.each(l.lose)
	}
}

func (l *loop) each(do func(*link)) {
	for _, k := range l.byFD {
		if k != nil {
			do(k)
		}
	}
}
