package transport

// The system calls of the hot path. They do not block, or for a moment, so they are made without
// telling Go's scheduler. Telling it costs more than a thread that is busy for some microseconds.

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/server/memcache"
)

// readNow reads what there is; unix.EAGAIN if there is nothing.
func readNow(fd int, b []byte) (int, error) { return transfer(unix.SYS_READ, fd, b) }

// readIntoNow reads into one buffer and, when that is full, into another.
func readIntoNow(fd int, first, second []byte) (int, error) {
	both := [2]syscall.Iovec{{Base: unsafe.SliceData(first)}, {Base: unsafe.SliceData(second)}}
	both[0].SetLen(len(first))
	both[1].SetLen(len(second))
	n, err := transferAt(unix.SYS_READV, fd, unsafe.Pointer(&both), len(both), 0)
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
	return n, err
}

// writeNow writes what the socket takes; unix.EAGAIN if it takes nothing.
func writeNow(fd int, b []byte) (int, error) { return transfer(unix.SYS_WRITE, fd, b) }

// writeCorkedNow is writeNow for TCP that holds the end of b back until uncorkNow, for 200 ms at
// most. The socket has it: it leaves even if the process dies.
func writeCorkedNow(fd int, b []byte) (int, error) {
	return transferFlagged(unix.SYS_SENDTO, fd, b, unix.MSG_MORE|unix.MSG_NOSIGNAL)
}

// writePartsNow writes parts in one call, by way of vectors, which has room for each. The error is
// unix.EFAULT if the system cannot read the first byte of a part.
func writePartsNow(
	fd int, parts []memcache.Part, vectors []unix.Iovec, corked bool,
) (int, error) {
	for i := range parts {
		b := parts[i].Bytes
		vectors[i].Base = unsafe.SliceData(b)
		vectors[i].SetLen(len(b))
	}
	message := unix.Msghdr{Iov: &vectors[0]}
	message.SetIovlen(len(parts))
	flags := uintptr(unix.MSG_NOSIGNAL)
	if corked {
		flags |= unix.MSG_MORE
	}
	n, err := transferMessage(fd, &message, flags)
	clear(vectors[:len(parts)])
	return n, err
}

// uncorkNow sends what was held back: setting TCP_NODELAY does so each time, even if it is set.
func uncorkNow(fd int) { enableNow(fd, unix.TCP_NODELAY) }

// acknowledgeNow sends the acknowledgement of what was read, if it was put off.
func acknowledgeNow(fd int) { enableNow(fd, unix.TCP_QUICKACK) }

// enableNow sets an option of a TCP socket.
func enableNow(fd int, option uintptr) {
	one := int32(1)
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, option,
		uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one), 0)
}

func transfer(call uintptr, fd int, b []byte) (int, error) {
	return transferFlagged(call, fd, b, 0)
}

func transferFlagged(call uintptr, fd int, b []byte, flags uintptr) (int, error) {
	return transferAt(call, fd, unsafe.Pointer(unsafe.SliceData(b)), len(b), flags)
}

func transferAt(call uintptr, fd int, at unsafe.Pointer, most int, flags uintptr) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(call, uintptr(fd), uintptr(at), uintptr(most), flags, 0, 0)
		if e != unix.EINTR {
			return outcome(n, e)
		}
	}
}

func transferMessage(fd int, message *unix.Msghdr, flags uintptr) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
			uintptr(unsafe.Pointer(message)), flags)
		if e != unix.EINTR {
			return outcome(n, e)
		}
	}
}

// outcome returns what a call did. The usual errors allocate nothing.
func outcome(n uintptr, e syscall.Errno) (int, error) {
	switch e {
	case 0:
		return int(n), nil
	case unix.EAGAIN:
		return 0, unix.EAGAIN
	case unix.EFAULT:
		return 0, unix.EFAULT
	}
	return 0, e
}

// epollWait is epoll_wait. It may find nothing before the timeout, in ms, is over.
func epollWait(epoll int, events []unix.EpollEvent, timeout int) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(timeout),
		0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}
