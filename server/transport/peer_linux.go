package transport

// What Linux tells of the other end of a connection without reading from it.

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the client is gone, or at least sends no more.
func hungUp(c net.Conn) (gone bool) {
	const ends = unix.POLLRDHUP | unix.POLLHUP | unix.POLLERR
	onSocket(c, func(fd int) {
		p := []unix.PollFd{{Fd: int32(fd), Events: ends}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n > 0 && p[0].Revents&ends != 0
	})
	return gone
}

// undelivered reports whether something that was written has not reached the client's system.
func undelivered(c net.Conn) (some bool) {
	onSocket(c, func(fd int) { some = unsent(fd) })
	return some
}

// unsent is undelivered of a descriptor.
func unsent(fd int) bool {
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

func onSocket(c net.Conn, do func(fd int)) {
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { do(int(fd)) })
		}
	}
}
