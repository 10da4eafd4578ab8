package queue

// How much of the disk the queues may take: each its own bound, all together that of the data directory, and what
// the file system is to have left. A log asks before it takes space for new items, an extent at a time; nothing
// else asks, and the bound of the data directory keeps back what that may need. So at any of the bounds items
// are taken and confirmed, and segments rewritten, as ever.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/darner/darner/segment/disk/usage"
	"github.com/darner/darner/wal/clock"
)

// Errors of Put and Create at a bound; both are ErrFull as well.
var (
	ErrLimit         = errors.New("the queue is at its limit")           // the queue's own, not the disk's
	ErrDiscardOldest = errors.New("the queue's oldest items have to go") // call DiscardOldest, and again
)

// overBound is the refusal of so many bytes.
type overBound struct {
	text    string
	need    int64
	own     bool // the bound is the queue's
	discard bool // the queue's oldest items are to make room
}

func (e *overBound) Error() string { return e.text }

func (e *overBound) Is(target error) bool {
	return target == ErrLimit && e.own || target == ErrDiscardOldest && e.discard
}

// budget is what there is to be had.
type budget struct {
	clock   clock.Clock
	usage   *usage.FS
	dir     string
	maxDisk int64
	kept    int64 // of maxDisk, for what does not ask
	minFree int64

	mu    sync.Mutex
	free  int64 // the file system's, when it was last asked
	total int64 // what the data directory took then
	asked bool
	at    time.Duration // steady time when it was
}

func newBudget(fsys *usage.FS, dir string, o Options) *budget {
	// A segment that is rewritten, and offset files: two of a busy queue are there while one is rewritten.
	const offsets = 1 << 20
	return &budget{
		clock: o.Clock, usage: fsys, dir: dir, maxDisk: o.MaxDisk, minFree: o.MinFree,
		kept: min(o.Log.SegmentSize+offsets, o.MaxDisk/4),
	}
}

// admit decides on so many bytes more for a queue.
func (b *budget) admit(dir string, s Settings, bytes int64) error {
	refused := func(own bool, format string, bound int64) error {
		return &overBound{text: fmt.Sprintf(format, bound), need: bytes, own: own, discard: s.Discard}
	}
	if s.MaxDisk > 0 && b.usage.Used(dir)+bytes > s.MaxDisk {
		return refused(true, "the queue is at its limit of %d bytes on disk (max-disk): take items, or raise it", s.MaxDisk)
	}
	if b.maxDisk > 0 && b.usage.Total()+bytes > b.maxDisk-b.kept {
		return refused(false, "no space left: the data directory is at its limit of %d bytes (max-disk): take items, delete queues, or raise it", b.maxDisk)
	}
	if b.minFree > 0 && !b.leaves(bytes) {
		return refused(false, "no space left: the file system is to keep %d bytes free (min-free): take items, or free some", b.minFree)
	}
	return nil
}

// The kernel is asked what is free once a second while items come, more often when they come by megabytes,
// and before one is refused, as others may have freed some.
const (
	askEvery  = time.Second
	askBytes  = 4 << 20
	askAtMost = 10 * time.Millisecond
)

// leaves reports whether the file system has minFree left after so many bytes more.
func (b *budget) leaves(bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := b.usage.Total()
	now := clock.Steady(b.clock)
	age := now - b.at
	if !b.asked || age > askEvery || total-b.total > askBytes {
		b.ask(total, now)
	}
	left := func() bool { return b.free-(total-b.total)-bytes >= b.minFree }
	if !left() && age > askAtMost {
		b.ask(total, now)
	}
	return left()
}

func (b *budget) ask(total int64, now time.Duration) {
	free, err := b.usage.Free(b.dir)
	if err != nil {
		free = b.minFree // it does not tell: nothing more until it does
	}
	b.free, b.total, b.asked, b.at = free, total, true, now
}

// Disk returns the bytes that the data directory takes, as du counts them, and its bound, 0 for none. For a
// moment after the start it knows a part only.
func (r *Registry) Disk() (bytes, limit int64) {
	r.usage.Settle()
	return r.usage.Total(), r.o.MaxDisk
}

// walk finds out what the directories take in which no log was opened.
func (r *Registry) walk(ctx context.Context) {
	if err := r.usage.Walk(func() bool { return ctx.Err() != nil }); err != nil {
		r.logger.Warn("cannot measure all of the data directory; disk_bytes and max-disk miss the rest",
			"dir", r.dir, "error", err)
	}
}
