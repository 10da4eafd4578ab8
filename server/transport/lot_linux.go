package transport

// Where silent connections wait: one epoll instance, itself waited for by the runtime's, tells which
// of them have something to read.

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

type lot struct {
	epoll  *os.File
	raw    syscall.RawConn // of epoll
	mu     sync.Mutex
	inside map[int32]*conn // by descriptor
}

// newLot returns a lot; one that takes nobody when the system gives no epoll.
func newLot() *lot {
	l := &lot{inside: make(map[int32]*conn)}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return l
	}
	if unix.SetNonblock(fd, true) != nil {
		unix.Close(fd)
		return l
	}
	l.epoll = os.NewFile(uintptr(fd), "epoll")
	l.raw, _ = l.epoll.SyscallConn()
	return l
}

// enter takes a connection in and returns how it leaves; nil when it is not taken. conn.mu is held,
// as it is when the connection leaves.
func (l *lot) enter(c *conn) (leave func()) {
	if l.epoll == nil {
		return nil
	}
	onSocket(c.net, func(fd int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
		if l.control(unix.EPOLL_CTL_ADD, fd, &e) == nil {
			l.inside[e.Fd] = c
			leave = func() { l.leave(fd) }
		}
	})
	return leave
}

func (l *lot) leave(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.inside, int32(fd))
	l.control(unix.EPOLL_CTL_DEL, fd, nil)
}

func (l *lot) control(op, fd int, e *unix.EpollEvent) (err error) {
	if e := l.raw.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), op, fd, e) }); e != nil {
		return e
	}
	return err
}

// run wakes connections that have something to read, until close.
func (l *lot) run() {
	if l.epoll == nil {
		return
	}
	events := make([]unix.EpollEvent, 64)
	for {
		n := 0
		err := l.raw.Read(func(epoll uintptr) bool {
			n, _ = unix.EpollWait(int(epoll), events, 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			if c := l.find(e.Fd); c != nil {
				c.wake()
			}
		}
	}
}

func (l *lot) find(fd int32) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inside[fd]
}

func (l *lot) close() {
	if l.epoll != nil {
		l.epoll.Close()
	}
}
