package transport

// What Linux tells of the other end of a connection without reading from it.

import (
	"math"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the client is gone, or at least sends no more.
func hungUp(c net.Conn) bool { return polled(c, unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) }

// broken reports whether the connection has ended both ways.
func broken(c net.Conn) bool { return polled(c, unix.POLLHUP|unix.POLLERR) }

func polled(c net.Conn, events int16) (any bool) {
	onSocket(c, func(fd int) {
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(p, 0)
		any = err == nil && n > 0 && p[0].Revents&events != 0
	})
	return any
}

// asked asks of a connection's socket.
func asked(c net.Conn, what func(fd int) bool) (is bool) {
	onSocket(c, func(fd int) { is = what(fd) })
	return is
}

// undelivered reports whether something that was written has not reached the client's system.
func undelivered(fd int) bool {
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain == unix.AF_UNIX {
		return false // a Unix socket's peer has it at once
	}
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	return err == nil && n > 0
}

// unread reports whether something has come that was not read.
func unread(fd int) bool {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	return err == nil && n > 0
}

// silent reports whether the client's system was asked for an answer, or sent something, and gave none yet.
func silent(fd int) bool {
	t, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && (t.Probes > 0 || t.Retransmits > 0)
}

// unanswered reports whether the client's system owes an answer to what it was sent so many milliseconds ago, or has
// refused it. One that has no room for it, and says so, has answered.
func unanswered(fd int, ago int64) bool {
	const late = 100 // ms that ago may be too much
	t, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	switch {
	case err != nil:
		return false
	case t.State == unix.BPF_TCP_CLOSE:
		return true
	}
	return (t.Unacked > 0 || t.Probes > 0 || t.Retransmits > 0) && int64(t.Last_ack_recv)+late > ago
}

// holder returns what holds back the end of what is written to a TCP connection, for 200 ms at most, and lets it go.
// The socket has it meanwhile: it leaves also when the process dies. For other connections it does nothing.
func holder(c net.Conn) func(hold bool) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return func(bool) {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func(bool) {}
	}
	var on int // used by one goroutine: a function made for each call would be an allocation
	set := func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on) }
	return func(hold bool) {
		on = 0
		if hold {
			on = 1
		}
		raw.Control(set)
	}
}

// setUserTimeout bounds how long what is sent may go unacknowledged. Of a socket that listens, those it accepts
// inherit it.
func setUserTimeout(c syscall.RawConn, d time.Duration) (err error) {
	ms := int(min(max(d.Milliseconds(), 1), math.MaxInt32))
	if e := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms))
	}); e != nil {
		return e
	}
	return err
}

func onSocket(c net.Conn, do func(fd int)) {
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { do(int(fd)) })
		}
	}
}
