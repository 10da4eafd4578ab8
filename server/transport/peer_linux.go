package transport

// What Linux knows about the other end of a connection without reading from it.

import (
	"math"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processOf returns the process that connected to a Unix socket; 0 if it is not known.
func processOf(c net.Conn) (pid int) {
	askSocket(c, func(fd int) bool {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			pid = int(cred.Pid)
		}
		return err == nil
	})
	return pid
}

// halfClosed reports whether the client sends no more; it may also be gone.
func halfClosed(c net.Conn) bool { return polled(c, unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) }

// hungUp reports whether the connection has ended both ways.
func hungUp(c net.Conn) bool { return polled(c, unix.POLLHUP|unix.POLLERR) }

func polled(c net.Conn, events int16) bool {
	return askSocket(c, func(fd int) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(p, 0)
		return err == nil && n > 0 && p[0].Revents&events != 0
	})
}

// askSocket calls a function with the socket of a connection; false if there is none.
func askSocket(c net.Conn, what func(fd int) bool) (is bool) {
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { is = what(int(fd)) })
		}
	}
	return is
}

// undelivered reports whether the client's system does not have all that was written.
func undelivered(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain == unix.AF_UNIX {
		return false // a Unix socket's peer has it at once
	}
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	return err == nil && n > 0
}

// unread reports whether there is input that was not read.
func unread(fd int) bool {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	return err == nil && n > 0
}

// unresponsive reports whether the client's system owes a response to a probe or to data.
func unresponsive(fd int) bool {
	t, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && (t.Probes > 0 || t.Retransmits > 0)
}

// ackMissing reports whether the client's system has not acknowledged what it was sent that many
// milliseconds ago, or has refused it. A window of zero is a response.
func ackMissing(fd int, ago int64) bool {
	const slack = 100 // ms that ago may be too large
	t, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	switch {
	case err != nil:
		return false
	case t.State == unix.BPF_TCP_CLOSE:
		return true
	}
	owes := t.Unacked > 0 || t.Probes > 0 || t.Retransmits > 0
	return owes && int64(t.Last_ack_recv)+slack > ago
}

// acknowledger returns a function that sends the acknowledgement of what was read from a TCP
// connection, if it was put off. For other connections the function does nothing.
func acknowledger(c net.Conn) func() {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return func() {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func() {}
	}
	now := func(fd uintptr) { acknowledgeNow(int(fd)) } // made once: it would be an allocation
	return func() { raw.Control(now) }
}

// corker returns a function that corks and uncorks a TCP connection: while it is corked the end of
// what is written is held back, for 200 ms at most. The socket has it: it leaves even if the
// process dies. For other connections the function does nothing.
func corker(c net.Conn) func(cork bool) {
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
	return func(cork bool) {
		on = 0
		if cork {
			on = 1
		}
		raw.Control(set)
	}
}

// setUserTimeout bounds how long sent data may stay unacknowledged. Connections inherit it from the
// socket that accepts them.
func setUserTimeout(c syscall.RawConn, d time.Duration) (err error) {
	ms := int(min(max(d.Milliseconds(), 1), math.MaxInt32))
	if e := c.Control(func(fd uintptr) {
		e := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms)
		err = os.NewSyscallError("setsockopt", e)
	}); e != nil {
		return e
	}
	return err
}
