package bench

// The epoll loop: one thread for any number of connections. A goroutine for each connection would
// need as much CPU time as the server under test.

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollTimeout is how long the loop waits at most, in ms, before it checks whether it should end.
const pollTimeout = 100

// timer is the timer's number in the epoll set. Sessions have numbers from 0.
const timer = -1

// newLoop returns the loop for this system.
func newLoop(m *meter) loop { return &epollLoop{meter: m} }

// epollLoop drives some sessions.
type epollLoop struct {
	*meter
	socks   []sock
	in      []byte
	epoll   int
	timer   int
	began   time.Time
	heard   int64 // when the last bytes came, in ns since the start
	running int   // sessions that are not finished
	turns   int64 // requests of an open loop that were due so far
}

// sock is a session and its non-blocking socket.
type sock struct {
	*session
	file  *os.File
	fd    int
	first int64 // when its first request is due
	done  bool
}

func (l *epollLoop) connect(ctx context.Context, i int) error {
	conn, err := l.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // the runtime does not poll the duplicate
	file, err := conn.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return err
	}
	fd := int(file.Fd())
	s := l.session(i)
	l.socks = append(l.socks, sock{session: s, file: file, fd: fd, first: s.due})
	return unix.SetNonblock(fd, true)
}

func (l *epollLoop) close() {
	var conns []net.Conn
	for _, s := range l.socks {
		if c, err := net.FileConn(s.file); err == nil {
			conns = append(conns, c)
		}
		s.file.Close()
	}
	hangUp(conns)
}

func (l *epollLoop) run(ctx context.Context, began time.Time) (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(l.epoll)
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC,
		unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(l.timer)
	if err := l.watch(l.timer, timer, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return err
	}
	for i, s := range l.socks {
		if err := l.watch(s.fd, i, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET); err != nil {
			return err
		}
	}
	l.in, l.began = make([]byte, 256<<10), began
	return l.poll(ctx)
}

func (l *epollLoop) watch(fd, number int, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd,
		&unix.EpollEvent{Events: events, Fd: int32(number)})
}

// poll is the loop itself. epoll reports a new socket as writable at once, which starts a closed
// loop.
func (l *epollLoop) poll(ctx context.Context) error {
	events := make([]unix.EpollEvent, 512)
	for l.running = len(l.socks); l.running > 0; {
		n, err := unix.EpollWait(l.epoll, events, pollTimeout)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, e := range events[:max(n, 0)] {
			if e.Fd == timer {
				continue
			}
			if err := l.handle(&l.socks[e.Fd], e.Events); err != nil {
				return err
			}
		}
		if err := l.askDue(); err != nil {
			return err
		}
		if silent := l.now() - l.heard; silent > int64(answerTimeout)+2*l.gap {
			return fmt.Errorf("no answer for %v", answerTimeout)
		}
	}
	return nil
}

// now returns the time in ns since the start of the load.
func (l *epollLoop) now() int64 { return int64(time.Since(l.began)) }

// handle reads and writes what a socket is ready for.
func (l *epollLoop) handle(s *sock, events uint32) error {
	now := l.now()
	for events&^unix.EPOLLOUT != 0 {
		n, err := transfer(unix.SYS_READ, s.fd, l.in)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return l.flush(s, now)
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return s.hungUp()
		}
		now = l.now()
		l.heard = now
		if err := s.receive(l.in[:n], now); err != nil {
			return err
		}
		if n < len(l.in) {
			break // later bytes are a new event
		}
	}
	return l.flush(s, now)
}

// flush writes the requests that may be sent, as far as the socket takes them.
func (l *epollLoop) flush(s *sock, now int64) error {
	for s.ask(now) {
		n, err := transfer(unix.SYS_WRITE, s.fd, s.pending())
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return os.NewSyscallError("write", err)
		}
		s.wrote(n)
	}
	if s.finished() && !s.done {
		s.done = true
		l.running--
	}
	return nil
}

// askDue lets those sessions of an open loop send whose requests are due, in order, and sets the
// timer for the next one. Sessions with too many requests in flight send when they get answers.
func (l *epollLoop) askDue() error {
	if l.gap == 0 {
		return nil
	}
	for n := int64(len(l.socks)); ; l.turns++ {
		s := &l.socks[l.turns%n]
		wait := s.first + l.turns/n*l.gap - l.now()
		if wait > 0 {
			return unix.TimerfdSettime(l.timer, 0,
				&unix.ItimerSpec{Value: unix.NsecToTimespec(wait)}, nil)
		}
		if err := l.flush(s, l.now()); err != nil {
			return err
		}
	}
}

// transfer reads or writes without telling the runtime, because it never blocks.
func transfer(call uintptr, fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
