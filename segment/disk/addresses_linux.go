package disk

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// addressLimit is the process's limit of addresses, in bytes, math.MaxInt64 for none, and
// addressesAtStart what of it was in use when the process began: the Go runtime alone has taken
// more than a gibibyte by then, of 64 bits.
var addressLimit, addressesAtStart = limitOfAddresses()

func limitOfAddresses() (limit, used int64) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &l); err != nil || l.Cur >= math.MaxInt64 {
		return math.MaxInt64, 0
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		fmt.Sscan(string(text), &used) // pages; in vain it is 0
	}
	return int64(l.Cur), used * int64(os.Getpagesize())
}
