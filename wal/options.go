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

// Errors that a caller may want to tell apart with errors.Is.
var (
	ErrClosed   = errors.New("log is closed")
	ErrFull     = errors.New("no space left on the disk")         // Append, Writer: nothing was stored; goes away when space comes back
	ErrFailed   = errors.New("log has failed and takes no items") // a sync or a mapped page failed: final until the log is opened again
	ErrDamaged  = body.ErrDamaged                                 // Read, Open, Reader.Read: the bytes do not verify
	ErrGone     = errors.New("item is gone")                      // Read, Open: taken by every consumer and deleted since
	ErrBacklog  = errors.New("the disk is behind the items")      // TryAppend, TryCommit: nothing was stored; goes away as the disk catches up
	ErrUnready  = fmt.Errorf("not ready yet: %w", ErrBacklog)     // TryAppend, TryNext, TryRead: it takes the disk, or long
	ErrTooLarge = errors.New("item is too large for a record")    // Append: over Options.InlineMax; use BeginLarge
)

// Limits of Options.
const (
	DefaultSegmentSize = 16 << 20
	DefaultInlineMax   = 64 << 10
	MinSegmentSize     = 64 << 10
	maxSegmentSize     = 1 << 30

	defaultSyncEvery   = time.Second
	defaultCompactRate = 32 << 20 // bytes a second
)

// SyncNever as Options.SyncEvery leaves syncing to the callers of Sync and to the operating
// system: a power cut may lose everything since.
const SyncNever time.Duration = -1

// Cold is how segments are made in their cold form.
type Cold = segment.ColdOptions

// Options of a log. The zero value is a good choice.
type Options struct {
	FS          disk.FS       // default disk.OS{}
	SegmentSize int64         // bytes of a new segment, MinSegmentSize to 1 GiB; default 16 MiB. Space is used as items come
	InlineMax   int           // largest payload in bytes kept inside a segment, at most a quarter of SegmentSize; default 64 KiB. Larger ones go through BeginLarge
	SyncEvery   time.Duration // what a power cut may cost; default 1 s; SyncNever
	Lag         int64         // bytes of segments that may await sealing, which are read again after a kill, and two segments in any case; default 256 MiB, less where addresses are few, 64 MiB in a 32-bit process
	Cold        *Cold         // how sealed segments are kept that will not be read soon; default zstd at level 1 with one parity block for every 16. The zero Cold leaves them as they are, and compaction rewrites them only to leave out what is taken
	Quarantine  string        // directory for damaged bytes set aside; default ".quarantine" in the log's directory
	Background  *Background   // does the slow work of many logs; default: one of the log's own
	Clock       clock.Clock   // default the machine's; one of the Background's own is given to NewBackground
	Logger      *slog.Logger  // default slog.Default()

	// Admit is asked before so many bytes of disk are taken for new items, if it is set: the next extent of a
	// segment, a new segment, the body of a large item as a whole and then each chunk of it. Its error refuses the
	// item as a full disk does: it is an ErrFull then. What else needs space, as the files that say what is
	// taken, does not ask. It is called with the log locked: it must not block, nor call the log.
	Admit func(bytes int64) error

	offsetCapacity int // bytes that an offset file is mapped; 0 for what suits the machine
}

func (o Options) withDefaults(dir string) (Options, error) {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = DefaultSegmentSize
	}
	if o.SegmentSize < MinSegmentSize || o.SegmentSize > maxSegmentSize {
		return o, fmt.Errorf("segment size %d is out of range %d to %d", o.SegmentSize, MinSegmentSize, maxSegmentSize)
	}
	if o.InlineMax == 0 {
		o.InlineMax = min(DefaultInlineMax, int(o.SegmentSize/4))
	}
	if o.InlineMax < 0 || int64(o.InlineMax) > o.SegmentSize/4 {
		return o, fmt.Errorf("inline maximum %d is out of range 1 to %d, a quarter of the segment size", o.InlineMax, o.SegmentSize/4)
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
