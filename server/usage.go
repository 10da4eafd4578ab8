package server

// What the process has used of the machine.

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what the process took so far; 0 if unknown.
func processorTime() (user, system time.Duration) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}
