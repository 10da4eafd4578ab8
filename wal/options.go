package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/internal/body"
)

// Errors to tell apart with errors.Is.
var (
	// ErrClosed: the log is closed, or the consumer was removed.
	ErrClosed = errors.New("log is closed")

	// ErrFull: nothing was stored, because there is no space. It passes when there is.
	ErrFull = errors.New("no space left on the disk")

	// ErrFailed: a sync or a write to a mapped page failed. It is final until the log is opened
	// again.
	ErrFailed = errors.New("log has failed and takes no items")

	// ErrDamaged: the bytes of the item do not verify.
	ErrDamaged = body.ErrDamaged

	// ErrGone: every consumer has taken the item, and it is deleted.
	ErrGone = errors.New("item is gone")

	// ErrBacklog: nothing was stored, because too much awaits sealing. It passes as the disk
	// catches up.
	ErrBacklog = errors.New("the disk does not keep up with the items")

	// ErrUnready: the call would have to wait for the disk, or to work for long. It is an
	// ErrBacklog too.
	ErrUnready = fmt.Errorf("not ready yet: %w", ErrBacklog)

	// ErrTooLarge: the payload is longer than Options.InlineMax. Use BeginLarge.
	ErrTooLarge = errors.New("item is too large for a record")
)

// Limits of Options.
const (
	DefaultSegmentSize = 16 << 20
	DefaultInlineMax   = 1 << 20
	MinSegmentSize     = 64 << 10
	maxSegmentSize     = 1 << 30

	defaultSyncEvery   = time.Second
	defaultCompactRate = 32 << 20 // bytes a second
)

// SyncNever as Options.SyncEvery leaves syncing to callers of Sync and to the operating system. A
// power cut may then lose everything since the last Sync.
const SyncNever time.Duration = -1

// Cold says how to make the cold form of segments.
type Cold = segment.ColdOptions

// Options of a log. The zero value is a good choice.
type Options struct {
	// FS is the file system; default disk.OS{}.
	FS disk.FS

	// SegmentSize is how many bytes a new segment may have: MinSegmentSize to 1 GiB, default 16
	// MiB. It takes disk space as items come.
	SegmentSize int64

	// InlineMax is the largest payload in bytes that Append takes: at most a quarter of
	// SegmentSize, default 1 MiB. BeginLarge takes larger ones.
	InlineMax int

	// SyncEvery is how old data may get before the log syncs it, so how much a power cut may lose;
	// default 1 s. See SyncNever.
	SyncEvery time.Duration

	// Lag bounds the segments that await sealing, in bytes; two are always allowed. Open reads them
	// all after a kill. Default 256 MiB, or 64 MiB in a 32-bit process.
	Lag int64

	// Cold says how to keep sealed segments that will not be read soon; default zstd at level 1
	// with one parity block for every 16. With the zero Cold they stay as they are, and compaction
	// rewrites them only to leave out what is taken.
	Cold *Cold

	// ColdNow, if set, is asked before each segment, so that the answer may change while the log is
	// open. It must not block. Where it returns nil, Cold says how.
	ColdNow func() *Cold

	// Quarantine is the directory for damaged bytes; default ".quarantine" in the log's directory.
	Quarantine string

	// Guarded says that the caller keeps all others away from the log, as a server does that has
	// locked the data directory. Open then only looks whether it is open elsewhere, and the log has
	// no lock of its own, which would take a descriptor.
	Guarded bool

	// Background does the slow work of many logs; default: one for this log alone.
	Background *Background

	// Clock is for times of items and for the log's timers; default the machine's. A Background has
	// its own: see NewBackground.
	Clock clock.Clock

	// Logger gets what the log reports, with its name as "queue"; default slog.Default().
	Logger *slog.Logger

	// Admit, if set, is asked before new items take bytes of disk space: for the next extent of a
	// segment, for a new segment, for the body of a large item as a whole and again for each of its
	// chunks. An error refuses the item as a full disk does, and is then an ErrFull. Nothing else
	// asks: not the files that say what is taken, for example. Appends wait for Admit: it must not
	// block, nor call the log.
	Admit func(bytes int64) error

	// Lost, if set, is told of what Stats counts as Damaged, as it is found. It must not block, nor
	// call the log.
	Lost func(n uint64)

	offsetCapacity int // bytes that an offset file is mapped; 0 for the default
}

// cold says how to make the next cold form.
func (o *Options) cold() Cold {
	if o.ColdNow != nil {
		if c := o.ColdNow(); c != nil {
			return *c
		}
	}
	return *o.Cold
}

func (o Options) withDefaults(dir string) (Options, error) {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = DefaultSegmentSize
	}
	if o.SegmentSize < MinSegmentSize || o.SegmentSize > maxSegmentSize {
		return o, fmt.Errorf("segment size %d is out of range %d to %d",
			o.SegmentSize, MinSegmentSize, maxSegmentSize)
	}
	if o.InlineMax == 0 {
		o.InlineMax = min(DefaultInlineMax, int(o.SegmentSize/4))
	}
	if o.InlineMax < 0 || int64(o.InlineMax) > o.SegmentSize/4 {
		return o, fmt.Errorf("inline maximum %d is out of range 1 to %d, a quarter of a segment",
			o.InlineMax, o.SegmentSize/4)
	}
	if o.Lag == 0 {
		o.Lag = defaultLag(disk.MostMapped())
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = defaultSyncEvery
	}
	if o.Cold == nil {
		cold := segment.DefaultCold()
		o.Cold = &cold
	}
	if o.Quarantine == "" {
		o.Quarantine = filepath.Join(dir, datadir.QuarantineName)
	}
	o.Clock = clock.Or(o.Clock)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}
