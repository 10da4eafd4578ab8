package disk

// Maps take addresses, of which a program with 32 bits has two or three gibibytes. When they are
// used up the Go runtime cannot grow its heap and ends the process, so maps are refused before that:
// a refusal is an error of one queue, and goes away when maps are given back.

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"syscall"
)

// ErrAddresses is Map's error when all maps together would take more addresses than there are to
// spare. It is a syscall.ENOMEM. It occurs where addresses have 32 bits only.
var ErrAddresses = fmt.Errorf("%w: the maps of this 32-bit process have reached their bound", syscall.ENOMEM)

// mapped is the process's, as the addresses are.
var mapped = addresses{most: mostMapped(strconv.IntSize)}

// mostMapped leaves half a gibibyte of the two that the least generous kernels give.
func mostMapped(bits int) int64 {
	if bits == 32 {
		return 3 << 29
	}
	return 1 << 62
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
