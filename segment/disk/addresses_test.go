package disk

import (
	"errors"
	"math"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

func TestMapsAreRefusedBeforeTheAddressesAreUsedUp(t *testing.T) {
	a := addresses{most: mostMapped(32, math.MaxInt64, 0)}
	for range 3 {
		check(t, a.take(500<<20))
	}
	if err := a.take(500 << 20); !errors.Is(err, syscall.ENOMEM) || !errors.Is(err, ErrAddresses) {
		t.Fatalf("2 GB of maps: got %v, want ErrAddresses", err)
	}
	a.giveBack(500 << 20)
	check(t, a.take(500<<20))
}

func TestMapsGiveTheirAddressesBack(t *testing.T) {
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "a"))
	check(t, err)
	defer f.Close()
	before := mapped.used.Load()
	m, err := f.Map(1<<20, true)
	check(t, err)
	if n := mapped.used.Load() - before; n != 1<<20 {
		t.Errorf("a map of 1 MiB: got %d bytes counted", n)
	}
	if f.Unmap(m[1:]) == nil {
		t.Error("Unmap of a part: got no error")
	}
	check(t, f.Unmap(m))
	if n := mapped.used.Load() - before; n != 0 {
		t.Errorf("got %d bytes mapped at the end, want 0", n)
	}
}

func TestMapsAndHeapShareTheAddresses(t *testing.T) {
	for _, c := range []struct {
		bits              int
		limit, used       int64
		mostMapped, heaps int64
	}{
		{64, math.MaxInt64, 0, math.MaxInt64 / 2, math.MaxInt64},
		{64, 2 << 30, 1200 << 20, 424 << 20, 424 << 20},
		{64, 1 << 30, 1200 << 20, 0, 0},
		{32, math.MaxInt64, 0, 3 << 29, 1 << 29},
		{32, 1 << 30, 560 << 20, 232 << 20, 1 << 29},
		{32, 300 << 20, 200 << 20, 50 << 20, 250 << 20},
	} {
		if n := mostMapped(c.bits, c.limit, c.used); n != c.mostMapped {
			t.Errorf("%d bits, limit %d, %d used: %d bytes of maps, want %d", c.bits, c.limit, c.used, n, c.mostMapped)
		}
		if n := heapAddresses(c.bits, c.limit, c.used); n != c.heaps {
			t.Errorf("%d bits, limit %d, %d used: %d bytes of heap, want %d", c.bits, c.limit, c.used, n, c.heaps)
		}
	}
}

// With 32 bits for real, as under .ci/emulated.
func TestAProcessOf32BitsIsRefusedMapsInTime(t *testing.T) {
	if strconv.IntSize != 32 {
		t.Skip("this process has addresses enough")
	}
	f, err := OS{}.Create(filepath.Join(t.TempDir(), "a"))
	check(t, err)
	defer f.Close()
	var maps [][]byte
	for range 3 {
		m, err := f.Map(1<<29-1<<20, true)
		check(t, err)
		maps = append(maps, m)
	}
	if _, err := f.Map(1<<29, true); !errors.Is(err, ErrAddresses) {
		t.Errorf("the fourth map of half a gibibyte: got %v, want ErrAddresses", err)
	}
	for _, m := range maps {
		check(t, f.Unmap(m))
	}
}
