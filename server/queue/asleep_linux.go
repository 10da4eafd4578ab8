package queue

import "golang.org/x/sys/unix"

// asleep is how many milliseconds the machine has slept since it was started: the steady clock
// stands still then.
func asleep() int64 {
	var boot, awake unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake)
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	const grain = 100e6 // what passes between the two calls is no sleep
	return max(0, boot.Nano()-awake.Nano()) / grain * (grain / 1e6)
}
