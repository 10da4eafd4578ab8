package queue

// The options of a registry, and the figures that are fixed.

import (
	"log/slog"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
)

// Options of a registry. The zero value is a good choice.
type Options struct {
	// Log is for every queue's log. The registry sets Quarantine, Background, Clock and Admit.
	// Clock here is only a default for Options.Clock.
	Log wal.Options

	Clock       clock.Clock   // default Log.Clock
	CompactRate int64         // bytes a second, see wal.NewBackground
	ScrubEvery  time.Duration // the interval of scrubbing; default 30 days, negative never

	// MaxLoaded is how many logs are open at most, or half as many again while all were used within
	// ten seconds. As more are loaded the least recently used ones are parked. Default 4096.
	MaxLoaded int

	// OpenBodies is how many bodies of large items may be open because they wait for a sync.
	// Beyond it each is synced before it is stored. 0: no bound.
	OpenBodies int

	// Episodes tells of losses. The registry closes it. Default: one of its own.
	Episodes *metrics.Episodes

	MaxDisk int64 // bytes that the data directory may take, as du counts them; 0: no bound
	MinFree int64 // bytes that its file system must have left; 0: none

	// Settings returns the settings of one queue: it must not block. Default: the zero Settings.
	// See Reconfigure.
	Settings func(name string) *Settings

	logs   logs         // default: those of package wal
	asleep func() int64 // see eras; default: the machine's
}

const (
	defaultMaxLoaded = 4096
	defaultScrub     = 30 * 24 * time.Hour

	// idleTime is how long nobody uses a queue before it is parked; it may take half as long again.
	idleTime = time.Minute

	// sweepEvery is how long after a queue was used its expired items are dropped, unless somebody
	// comes for them. It may take five times as long.
	sweepEvery = 2 * time.Second

	// reuseShare: segments that wait to be used again take at most one part in so many of the
	// disk space that there is for queues.
	reuseShare = 16

	// reserveBytes of the disk are kept for compaction to work with when the disk is full.
	reserveBytes = 256 << 10
)

func (o Options) withDefaults() Options {
	if o.MaxLoaded <= 0 {
		o.MaxLoaded = defaultMaxLoaded
	}
	if o.ScrubEvery == 0 {
		o.ScrubEvery = defaultScrub
	}
	if o.Log.FS == nil {
		o.Log.FS = disk.OS{}
	}
	if o.Log.Logger == nil {
		o.Log.Logger = slog.Default()
	}
	if o.Log.SegmentSize == 0 {
		o.Log.SegmentSize = wal.DefaultSegmentSize
	}
	o.Log.Guarded = true // by the data directory's lock
	if o.Clock == nil {
		o.Clock = clock.Or(o.Log.Clock)
	}
	o.Log.Clock = o.Clock
	if o.Episodes == nil {
		o.Episodes = metrics.NewEpisodes(o.Clock, o.Log.Logger)
	}
	if o.asleep == nil {
		o.asleep = asleep
	}
	if o.logs == nil {
		o.logs = walLogs{}
	}
	return o
}
