package server

// Settings fitted to the machine: what its limits of open files, address space and disk allow.

import (
	"context"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/wal"
)

const (
	ownFiles   = 64 // descriptors that neither a queue nor a client has
	queueFiles = 4  // descriptors that a loaded queue has, at most
	minLoaded  = 8

	queueMemory = 16 << 10 // bytes that a loaded queue has, about
	mostLoaded  = 16384    // each has two maps or more, of the 65,530 that Linux allows a process
)

// fit lowers what the machine cannot give, and says so.
func fit(c *config.Config, log *slog.Logger) {
	limit := openFiles()
	if most := maxClients(limit, c.MaxConnections); most < c.MaxConnections {
		log.Warn("the limit of open files allows fewer clients than max-connections; raise it (ulimit -n, LimitNOFILE)",
			"max-connections", c.MaxConnections, "clients", most, "limit", limit)
		c.MaxConnections = most
	}
	if most := clientsInHeap(disk.HeapAddresses(), *c); most < c.MaxConnections {
		level := slog.LevelWarn
		if strconv.IntSize == 32 && c.MaxConnections == config.Default().MaxConnections { // nobody asked for so many
			level = slog.LevelDebug
		}
		log.Log(context.Background(), level, "addresses are few, and the heap has room for fewer clients than max-connections; is there a limit (ulimit -v, LimitAS)?",
			"max-connections", c.MaxConnections, "clients", most, "heap", disk.HeapAddresses())
		c.MaxConnections = most
	}
	if most := addressable(*c, disk.MostMapped()); most < c.SegmentSize {
		level := slog.LevelInfo
		if c.SegmentSize == config.Default().SegmentSize { // nobody asked for it
			level = slog.LevelDebug
		}
		log.Log(context.Background(), level, "segments are smaller: addresses are few", "asked-for", c.SegmentSize.String(), "segment-size", most.String())
		c.SegmentSize = most
	}
	whole := fileSystemSize(c.Data)
	if c.MinFree == config.Auto {
		c.MinFree = minFree(whole)
	}
	if c.MaxDisk > 0 {
		whole = min(whole, int64(c.MaxDisk))
	}
	if size := segmentSize(*c, whole); size < c.SegmentSize {
		log.Debug("segments are smaller, to suit a small disk", "segment-size", size.String())
		c.SegmentSize = size
	}
}

// addressable is the size of segments where all maps may take so many bytes of addresses: 4 MiB with 32 bits. A queue
// that a client waits at stays mapped, the segment and the offset file, so where they are few segments are to be small.
func addressable(c config.Config, maps int64) config.Size {
	const together = 384
	return min(c.SegmentSize, max(config.MinSegmentSize, 4*c.InlineMax, config.Size(maps/together)&^(config.MinSegmentSize-1)))
}

// clientsInHeap is how many clients may be half-way in a request and an answer at once, in so many bytes of heap.
func clientsInHeap(heap int64, c config.Config) int {
	const around = 16 << 10 // a request line, the session, what the collector has not come to
	return int(min(max(1, heap/(2*int64(c.InlineMax)+around)), int64(c.MaxConnections)))
}

// maxClients is how many of the clients wanted may be served: all, unless they leave too few
// descriptors for queues; then queues get half.
func maxClients(files int64, wanted int) int {
	const enough = 256 // queues
	left := files - ownFiles
	if left-int64(wanted) >= enough*queueFiles {
		return wanted
	}
	return min(wanted, int(max(1, left/2)))
}

// maxLoaded is how many queues may be loaded: as the clients leave descriptors for, as a quarter of the memory
// holds, and as find room in two thirds of the addresses that maps may take: they need more than they have at rest.
func maxLoaded(files int64, clients int, memory, segment, maps int64) int {
	n := max((files-ownFiles-int64(clients))/queueFiles, minLoaded)
	n = min(n, max(memory/4/queueMemory, minLoaded), mostLoaded)
	return int(min(n, max(1, maps/3*2/wal.Mapped(segment, maps))))
}

// segmentSize is the size of segments on a file system of so many bytes: space comes back by
// segments, so on a small disk there are to be many.
func segmentSize(c config.Config, disk int64) config.Size {
	return min(c.SegmentSize, max(config.MinSegmentSize, 4*c.InlineMax, config.Size(disk/32)&^(config.MinSegmentSize-1)))
}

// queueSegmentSize is that of a queue with a bound: there are to be some segments below it.
func queueSegmentSize(c config.Config, maxDisk config.Size) config.Size {
	if maxDisk == 0 {
		return c.SegmentSize
	}
	return min(c.SegmentSize, max(config.MinSegmentSize, 4*c.InlineMax, maxDisk/8&^(config.MinSegmentSize-1)))
}

// minFree is what is left free of a file system of so many bytes, so that there is room to note what is
// taken and to rewrite a segment.
func minFree(disk int64) config.AutoSize {
	return config.AutoSize(min(max(disk/64, 256*config.KiB), 16*config.MiB))
}

// openFiles is how many descriptors the process may have.
func openFiles() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int64(l.Cur)
}

// fileSystemSize is the size in bytes of the file system where dir is, or will be made; very much
// when it does not tell.
func fileSystemSize(dir string) int64 {
	var s unix.Statfs_t
	for unix.Statfs(dir, &s) != nil {
		parent := filepath.Dir(dir)
		if parent == dir {
			return math.MaxInt64
		}
		dir = parent
	}
	if s.Blocks == 0 || s.Blocks > math.MaxInt64/uint64(max(s.Bsize, 1)) {
		return math.MaxInt64 // it does not tell
	}
	return int64(s.Blocks) * int64(s.Bsize)
}
