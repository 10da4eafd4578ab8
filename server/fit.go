package server

// Settings that are fitted to the machine: to its limits of open files, addresses and disk.

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
	ownFiles   = 64  // descriptors for neither queues nor clients
	queueFiles = 128 // descriptors that clients leave to the queues, however many these are
	minQueues  = 8   // loaded, whatever the limits are

	queueMemory = 16 << 10 // bytes of a loaded queue, about
	maxQueues   = 16384    // each has at least two of the 65,530 maps that Linux allows a process
)

// fit lowers settings that are too large for the machine, and logs it.
func fit(c *config.Config, log *slog.Logger) {
	limit := openFiles()
	if n := clientsByFiles(shared(limit), c.MaxConnections); n < c.MaxConnections {
		log.Warn("serving fewer clients: the limit of open files is too low", "clients", n,
			"max-connections", c.MaxConnections, "limit", limit, "hint", "ulimit -n, LimitNOFILE")
		c.MaxConnections = n
	}
	if n := clientsByHeap(disk.HeapAddresses(), *c); n < c.MaxConnections {
		byDefault := c.MaxConnections == config.Default().MaxConnections
		log.Log(context.Background(), levelOf(strconv.IntSize == 32 && byDefault, slog.LevelWarn),
			"serving fewer clients: addresses are few", "clients", n,
			"max-connections", c.MaxConnections, "heap", disk.HeapAddresses(),
			"hint", "ulimit -v, LimitAS")
		c.MaxConnections = n
	}
	if size := segmentSizeByAddresses(*c, disk.MostMapped()); size < c.SegmentSize {
		byDefault := c.SegmentSize == config.Default().SegmentSize
		log.Log(context.Background(), levelOf(byDefault, slog.LevelInfo),
			"segments are smaller: addresses are few",
			"asked-for", c.SegmentSize.String(), "segment-size", size.String())
		c.SegmentSize = size
	}
	whole := fileSystemSize(c.Data)
	if c.MinFree == config.Auto {
		c.MinFree = minFree(whole)
	}
	if c.MaxDisk > 0 {
		whole = min(whole, int64(c.MaxDisk))
	}
	if size := segmentSizeByDisk(*c, whole); size < c.SegmentSize {
		log.Debug("segments are smaller: the disk is small", "segment-size", size.String())
		c.SegmentSize = size
	}
}

// levelOf is the level at which a lowered setting is logged: debug if nobody asked for it.
func levelOf(byDefault bool, asked slog.Level) slog.Level {
	if byDefault {
		return slog.LevelDebug
	}
	return asked
}

// segmentSizeByAddresses is the size of segments if all maps together may take maps bytes of
// addresses: 4 MiB in a 32-bit process. A queue with a waiting client keeps a segment and its
// offset file mapped, so segments must be small where addresses are few.
func segmentSizeByAddresses(c config.Config, maps int64) config.Size {
	const mapped = 384 // segments at a time
	return segmentSize(c, config.Size(maps/mapped))
}

// segmentSize is the configured size of segments, or less: about size.
func segmentSize(c config.Config, size config.Size) config.Size {
	return min(c.SegmentSize, max(config.MinSegmentSize, size&^(config.MinSegmentSize-1)))
}

// clientsByHeap is how many clients may be in the middle of a request and an answer at once, if the
// heap may take that many bytes.
func clientsByHeap(heap int64, c config.Config) int {
	const overhead = 16 << 10 // a request line, the session, garbage not collected yet
	const whole = 64 << 10    // a longer item passes in pieces of this
	most := min(int64(c.InlineMax), whole)
	return int(min(max(1, heap/(2*most+overhead)), int64(c.MaxConnections)))
}

// shared is how many of that many descriptors clients and queues share by need.
func shared(files int64) int { return int(max(files-ownFiles, files/2)) }

// openBodies is how many bodies of large items may be open for the next sync. Clients and queues
// cannot have their descriptors.
func openBodies(shared int) int { return max(1, shared/4) }

// clientsByFiles is how many of the wanted clients may be served with that many descriptors for
// them and the queues.
func clientsByFiles(shared, wanted int) int {
	return min(wanted, max(1, shared-queueFiles, shared/2))
}

// maxLoaded is how many queues may be loaded at a time. They must fit into a quarter of the memory,
// and two thirds of the addresses for maps: a busy queue maps more than an idle one.
func maxLoaded(memory, segment, maps int64) int {
	n := min(max(memory/4/queueMemory, minQueues), maxQueues)
	return int(min(n, max(1, maps/3*2/wal.Mapped(segment, maps))))
}

// segmentSizeByDisk is the size of segments on a file system of that many bytes. Space comes back
// by whole segments, so a small disk needs many small ones.
func segmentSizeByDisk(c config.Config, disk int64) config.Size {
	return segmentSize(c, config.Size(disk/32))
}

// queueSegmentSize is the size of segments of a queue that may take maxDisk bytes, 0 for any
// number.
func queueSegmentSize(c config.Config, maxDisk config.Size) config.Size {
	if maxDisk == 0 {
		return c.SegmentSize
	}
	return segmentSize(c, maxDisk/8)
}

// minFree is how many bytes to leave free on a file system of that many bytes. They are for noting
// which items are taken, and for rewriting a segment.
func minFree(disk int64) config.AutoSize {
	return config.AutoSize(min(max(disk/64, 256*config.KiB), 16*config.MiB))
}

// openFiles is how many descriptors the process may have. At its start Go raises the soft limit as
// far as the hard one.
func openFiles() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int64(l.Cur)
}

// fileSystemSize is the size in bytes of the file system that dir is on, or will be; MaxInt64 if
// unknown.
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
		return math.MaxInt64
	}
	return int64(s.Blocks) * int64(s.Bsize)
}
