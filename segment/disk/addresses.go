package disk

// Maps take addresses. A 32-bit program has two or three gibibytes of them, and any program no more
// than its limit (RLIMIT_AS, ulimit -v). If they are used up, the Go runtime cannot grow its heap
// and ends the process. So Map refuses before that. Such a refusal is an error of one queue, and it
// goes away when maps are given back.

import (
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"syscall"
)

// ErrAddresses is Map's error if all maps together would take more addresses than there are to
// spare. It is a syscall.ENOMEM. It occurs in 32-bit programs and under a limit.
var ErrAddresses = fmt.Errorf("%w: no addresses are left for more maps", syscall.ENOMEM)

// mapped counts the maps of this process.
var mapped = addresses{most: mostMapped(strconv.IntSize, addressLimit, addressesAtStart)}

// MostMapped returns how many bytes all maps of the process together may take. It is huge where
// they are not limited.
func MostMapped() int64 { return mapped.most }

// HeapAddresses returns how many bytes of addresses are kept back for the heap. It is math.MaxInt64
// where they are not limited.
func HeapAddresses() int64 {
	return heapAddresses(strconv.IntSize, addressLimit, addressesAtStart)
}

// heap32 is what the runtime of a 32-bit program reserves for the heap at its start.
const heap32 = 1 << 29

// mostMapped leaves to the heap half a gibibyte of the two that the least generous kernels give to
// a 32-bit program, and half of what a limit leaves beyond what was used at the start.
func mostMapped(bits int, limit, used int64) int64 {
	most := int64(1 << 62)
	if bits == 32 {
		most = 3 << 29
	}
	return min(most, max(0, limit-used)/2)
}

// heapAddresses returns what mostMapped leaves.
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

// addresses counts the bytes of maps.
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
