package server

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/darner/darner/server/config"
)

func TestDescriptorsAreSharedByClientsAndQueues(t *testing.T) {
	for _, c := range []struct {
		files           int64
		wanted          int
		clients, queues int
	}{
		{1 << 20, 16384, 16384, 16384},
		{20000, 16384, 16384, 888},
		{1024, 16384, 480, 120},
		{64, 100, 1, 8},
		{1 << 31, 1 << 30, 1 << 30, 16384},
	} {
		clients := maxClients(c.files, c.wanted)
		if queues := maxLoaded(c.files, clients, 1<<40, 16<<20, 64); clients != c.clients || queues != c.queues {
			t.Errorf("%d files, %d clients wanted: %d clients, %d queues", c.files, c.wanted, clients, queues)
		}
	}
}

func TestLoadedQueuesTakeAQuarterOfTheMemoryAtMost(t *testing.T) {
	for memory, want := range map[int64]int{64 << 20: 1024, 256 << 20: 4096, 1 << 30: 16384, 1 << 40: 16384, 0: 8} {
		if n := maxLoaded(1<<20, 1000, memory, 16<<20, 64); n != want {
			t.Errorf("%d bytes of memory: %d queues, want %d", memory, n, want)
		}
	}
}

func TestMemoryIsThatOfTheMachineOrTheLimitIfThatIsLess(t *testing.T) {
	machine := fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal:         249856 kB\nMemFree:           10000 kB\n")}}
	was := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(was)
	if n := memory(machine); n != 249856<<10 {
		t.Errorf("without a limit it is %d", n)
	}
	if n := memory(fstest.MapFS{}); n != 1<<30 {
		t.Errorf("with nothing known it is %d", n)
	}
	debug.SetMemoryLimit(100 << 20)
	if n := memory(machine); n != 100<<20 {
		t.Errorf("with a limit of 100 MiB it is %d", n)
	}
}

func TestMapsFitIntoAddressesOf32Bits(t *testing.T) {
	for segment, want := range map[int64]int{256 << 10: 585, 4 << 20: 78, 16 << 20: 20, 1 << 30: 1} {
		if n := maxLoaded(1<<20, 1000, 1<<40, segment, 32); n != want {
			t.Errorf("segments of %d bytes: %d queues, want %d", segment, n, want)
		}
	}
}

func TestSegmentsSuitAddressesOf32Bits(t *testing.T) {
	for asked, want := range map[config.Size]config.Size{1 << 20: 1 << 20, 16 << 20: 4 << 20, 1 << 30: 4 << 20} {
		c := config.Default()
		c.SegmentSize = asked
		if size := addressable(c, 32); size != want {
			t.Errorf("segments of %v asked for: %v, want %v", asked, size, want)
		}
		if size := addressable(c, 64); size != asked {
			t.Errorf("with 64 bits, segments of %v asked for: %v", asked, size)
		}
	}
}

func TestSegmentsSuitTheDisk(t *testing.T) {
	for disk, want := range map[int64]config.Size{1 << 40: 16 << 20, 64 << 20: 2 << 20, 8 << 20: 256 << 10, 0: 256 << 10} {
		if size := segmentSize(config.Default(), disk); size != want {
			t.Errorf("a disk of %d bytes: segments of %v, want %v", disk, size, want)
		}
	}
}
