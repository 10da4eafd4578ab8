package disk

// Maps take addresses, of which a program with 32 bits has two or three gibibytes, and any program
// no more than its limit (RLIMIT_AS, ulimit -v). When they are used up the Go runtime cannot grow
// its heap and ends the process, so maps are refused before that: a refusal is an error of one
// queue, and goes away when maps are given back.

import (
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"syscall"
)

// ErrAddresses is Map's error when all maps together would take more addresses than there are to
// spare. It is a syscall.ENOMEM. It occurs where addresses have 32 bits, or a limit.
var ErrAddresses = fmt.Errorf("%w: the maps of this process have reached their bound", syscall.ENOMEM)

// mapped is the process's, as the addresses are.
var mapped = addresses{most: mostMapped(strconv.IntSize, addressLimit, addressesAtStart)}

// MostMapped returns how many bytes all maps of the process may take together; where there is no
// bound to speak of, very many.
func MostMapped() int64 { return mapped.most }

// HeapAddresses returns how many bytes of addresses are kept back for the heap: math.MaxInt64 where
// they are many.
func HeapAddresses() int64 {
	return heapAddresses(strconv.IntSize, addressLimit, addressesAtStart)
}

// heap32 is what the runtime reserves for the heap of a program of 32 bits before all else.
const heap32 = 1 << 29

// mostMapped leaves half a gibibyte of the two that the least generous kernels give to a program of
// 32 bits, and half of what a limit leaves beyond what was used at the start.
func mostMapped(bits int, limit, used int64) int64 {
	most := int64(1 << 62)
	if bits == 32 {
		most = 3 << 29
	}
	return min(most, max(0, limit-used)/2)
}

// heapAddresses is the other half.
func heapAddresses(bits int, limit, used int64) int64 {
	switch most := mostMapped(bits, limit, used); {
	case bits == 32:
		return min(heap32, max(0, limit-most))
	case limit == math.MaxInt64:
		return limit
	default:
		return max(0, limit-used-most)
	}
}

// addresses counts the bytes of all maps.
type addresses struct {
	most int64
	used atomic.Int64
}

func (a *addresses) take(n int) error {
	if a.used.Add(int64(n)) > a.most {
		a.giveBack(n)
		return ErrAddresses
	}
	return nil
}

func (a *addresses) giveBack(n int) { a.used.Add(-int64(n)) }
