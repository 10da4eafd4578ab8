package disk

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// addressLimit is the process's limit of addresses in bytes, math.MaxInt64 for none.
// addressesAtStart is how many of them were in use when the process began: in a 64-bit program, the
// Go runtime alone has taken more than a gibibyte by then.
var addressLimit, addressesAtStart = limitOfAddresses()

func limitOfAddresses() (limit, used int64) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &l); err != nil || l.Cur >= math.MaxInt64 {
		return math.MaxInt64, 0
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		fmt.Sscan(string(text), &used) // in pages; stays 0 if the text is not understood
	}
	return int64(l.Cur), used * int64(os.Getpagesize())
}
