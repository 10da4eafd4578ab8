package transport

// How a loop waits for its sockets.

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// poller is an epoll instance that one goroutine waits on. Go's scheduler is told of a wait only if
// it is long: otherwise it looks every 20 µs, for some milliseconds after each wait, whether there
// is a processor to take away. But it is let in now and then. After 10 ms it would take the
// goroutine for one that computes without end, and interrupt it by a signal; another thread would
// continue it.
type poller struct {
	fd     int
	events []unix.EpollEvent
	spare  bool  // there is one of Go's processors to keep from others during a brief wait
	waited int64 // when the last wait began; this and the next by the loop's clock
	let    int64 // when the scheduler was let in
}

// letInEvery is how many ms the goroutine goes on before it lets the scheduler in, and the longest
// wait that the scheduler is not told of.
const letInEvery = 8

// newPoller returns a poller. spare says whether Go has a processor more than goroutines that wait.
func newPoller(spare bool) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create", err)
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, 128), spare: spare}, nil
}

func (p *poller) close() { unix.Close(p.fd) }

// control adds, changes or removes a descriptor, as epoll_ctl does.
func (p *poller) control(op, fd int, events uint32) error {
	return unix.EpollCtl(p.fd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// now returns the events that there are.
func (p *poller) now() []unix.EpollEvent { return p.events[:epollWait(p.fd, p.events, 0)] }

// wait waits up to timeout ms for events; -1: without end. now is the time by the loop's clock. It
// may return none before that.
func (p *poller) wait(timeout int, now int64) []unix.EpollEvent {
	idle := now-p.waited > 2*letInEvery // since the last wait was long, this one may be
	p.waited = now
	if p.spare && !idle {
		if now-p.let >= letInEvery {
			p.let = now
			runtime.Gosched()
		}
		brief := int(min(uint(timeout), letInEvery))
		if n := epollWait(p.fd, p.events, brief); n > 0 || brief == timeout {
			return p.events[:n]
		}
		timeout = max(timeout-brief, -1)
	}
	n, err := unix.EpollWait(p.fd, p.events, timeout)
	if err != nil && err != unix.EINTR {
		panic(fmt.Sprintf("epoll_wait: %v", err)) // wrong arguments
	}
	return p.events[:max(n, 0)]
}
