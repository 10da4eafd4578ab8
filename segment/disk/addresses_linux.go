package disk

import (
	"fmt"
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// sparedAddresses is how many bytes of addresses the limit left when the process began: the Go runtime alone
// has taken more than a gibibyte by then, of 64 bits. math.MaxInt64 without a limit.
var sparedAddresses = sync.OnceValue(func() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &l); err != nil || l.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	var pages int64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		fmt.Sscan(string(text), &pages) // in vain it is 0
	}
	return max(0, int64(l.Cur)-pages*int64(os.Getpagesize()))
})
