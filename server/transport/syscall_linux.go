package transport

// The calls of the hot path. They do not block, so the scheduler need not hear of them: telling it
// costs more than a thread that is away for some microseconds.

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readNow reads what there is; unix.EAGAIN when that is nothing.
func readNow(fd int, b []byte) (int, error) { return transfer(unix.SYS_READ, fd, b) }

// writeNow writes what the socket takes; unix.EAGAIN when that is nothing.
func writeNow(fd int, b []byte) (int, error) { return transfer(unix.SYS_WRITE, fd, b) }

func transfer(call uintptr, fd int, b []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch e {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, unix.EAGAIN
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}

// eventsNow is epoll_wait that does not wait.
func eventsNow(epoll int, events []unix.EpollEvent) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}
