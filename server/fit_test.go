package server

import (
	"log/slog"
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/darner/darner/server/config"
)

func TestClientsLeaveSomeDescriptorsToTheQueues(t *testing.T) {
	for _, c := range []struct {
		files          int64
		wanted         int
		shared, served int
	}{
		{1 << 20, 16384, 1<<20 - 64, 16384},
		{20000, 16384, 19936, 16384},
		{4096, 16384, 4032, 3904},
		{1024, 16384, 960, 832},
		{1024, 100, 960, 100},
		{64, 100, 32, 16},
		{2, 100, 1, 1},
	} {
		shared := shared(c.files)
		served := clientsByFiles(shared, c.wanted)
		if shared != c.shared || served != c.served {
			t.Errorf("%d files for %d clients: got %d shared and %d served, want %d and %d",
				c.files, c.wanted, shared, served, c.shared, c.served)
		}
	}
}

func TestLoadedQueuesTakeAQuarterOfTheMemoryAtMost(t *testing.T) {
	for memory, want := range map[int64]int{
		64 << 20: 1024, 256 << 20: 4096, 1 << 30: 16384, 1 << 40: 16384, 0: 8,
	} {
		if n := maxLoaded(memory, 16<<20, 1<<62); n != want {
			t.Errorf("%d bytes of memory: got %d queues, want %d", memory, n, want)
		}
	}
}

func TestMemoryIsThatOfTheMachineOrTheLimitIfThatIsLess(t *testing.T) {
	meminfo := []byte("MemTotal:         249856 kB\nMemFree:           10000 kB\n")
	machine := fstest.MapFS{"proc/meminfo": {Data: meminfo}}
	was := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(was)
	if n := memory(machine); n != 249856<<10 {
		t.Errorf("got %d without a limit, want %d", n, 249856<<10)
	}
	if n := memory(fstest.MapFS{}); n != 1<<30 {
		t.Errorf("got %d with nothing known, want 1 GiB", n)
	}
	debug.SetMemoryLimit(100 << 20)
	if n := memory(machine); n != 100<<20 {
		t.Errorf("got %d with a limit, want 100 MiB", n)
	}
}

// maps32 is how many bytes all maps of a 32-bit process may take.
const maps32 = 3 << 29

func TestMapsFitIntoAddressesOf32Bits(t *testing.T) {
	for segment, want := range map[int64]int{256 << 10: 585, 4 << 20: 78, 16 << 20: 20,
		1 << 30: 1} {
		if n := maxLoaded(1<<40, segment, maps32); n != want {
			t.Errorf("segments of %d bytes: got %d queues, want %d", segment, n, want)
		}
	}
}

func TestSegmentsSuitAddressesOf32Bits(t *testing.T) {
	for asked, want := range map[config.Size]config.Size{1 << 20: 1 << 20, 16 << 20: 4 << 20,
		1 << 30: 4 << 20} {
		c := config.Default()
		c.SegmentSize = asked
		if size := segmentSizeByAddresses(c, maps32); size != want {
			t.Errorf("got segments of %v, want %v of %v", size, want, asked)
		}
		if size := segmentSizeByAddresses(c, 1<<62); size != asked {
			t.Errorf("got segments of %v with 64 bits, want %v", size, asked)
		}
	}
}

func TestSegmentsSuitTheDisk(t *testing.T) {
	for disk, want := range map[int64]config.Size{
		1 << 40: 16 << 20, 64 << 20: 2 << 20, 8 << 20: 256 << 10, 0: 256 << 10,
	} {
		if size := segmentSizeByDisk(config.Default(), disk); size != want {
			t.Errorf("a disk of %d bytes: got segments of %v, want %v", disk, size, want)
		}
	}
}

func TestMapsAndClientsFitIntoALimitOfAddresses(t *testing.T) {
	const spared = 800 << 20 // by a limit of 2 GiB
	c := config.Default()
	if n := clientsByHeap(spared/2, c); n < 2000 || n > 4000 {
		t.Errorf("got %d clients, want 2000 to 4000", n)
	}
	if n := clientsByHeap(math.MaxInt64, c); n != c.MaxConnections {
		t.Errorf("got %d clients without a limit, want %d", n, c.MaxConnections)
	}
	c.SegmentSize = segmentSizeByAddresses(c, spared/2)
	if c.SegmentSize != 1<<20 {
		t.Errorf("got segments of %v, want 1 MiB", c.SegmentSize)
	}
	if n := maxLoaded(1<<40, int64(c.SegmentSize), spared/2); n < 64 || n > 100 {
		t.Errorf("got %d queues, want 64 to 100", n)
	}
}

func TestTheHeapIsKeptInTheAddressesThatAreKeptBackForIt(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, c := range []struct {
		set  config.AutoSize
		want int64
	}{
		{config.Auto, 300 << 20}, {64 << 20, 64 << 20}, {0, 300 << 20}, {config.GiB, 300 << 20},
	} {
		limitMemory(c.set, 400<<20, slog.New(slog.DiscardHandler))
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%v: got a limit of %d, want %d", c.set, got, c.want)
		}
	}
}
