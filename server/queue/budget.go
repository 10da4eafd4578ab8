package queue

// How much of the disk the queues may take: each its own bound, all together that of the data
// directory, and no more than leaves enough free on the file system. A log asks before it takes
// space for new items, an extent at a time. Nothing else asks, and part of the data directory's
// bound is reserved for that. So at any of the bounds items are still taken and confirmed, and
// segments rewritten.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/segment/disk/usage"
	"github.com/darner/darner/wal/clock"
)

// Errors of Put and BeginLarge at a bound; both are ErrFull as well.
var (
	// ErrLimit is for the queue's own bound, not the disk's.
	ErrLimit = errors.New("the queue is at its limit")
	// ErrDiscardOldest means to call DiscardOldest, and try again.
	ErrDiscardOldest = errors.New("the queue's oldest items have to go")
)

// overBound refuses an item, or bytes of disk.
type overBound struct {
	text    string
	need    int64
	own     bool // the bound is the queue's
	items   bool // it is one of items or their bytes, not of the disk
	discard bool // the queue's oldest items are to make room
	clears  bool // those that are to move to another queue do: see Queue.clearAway
}

func (e *overBound) Error() string { return e.text }

func (e *overBound) Is(target error) bool {
	return target == ErrLimit && e.own || target == ErrDiscardOldest && e.discard ||
		target == ErrFull && e.items
}

// final is the refusal when discarding does not help.
func (e *overBound) final() error {
	last := *e
	last.discard = false
	return &last
}

// budget tracks how much more disk space items may take.
type budget struct {
	clock   clock.Clock
	usage   *usage.FS
	dir     string
	segment int64 // bytes
	bounds  atomic.Pointer[bounds]

	mu    sync.Mutex
	free  int64 // the file system's, when the kernel was last asked
	total int64 // what the data directory took then
	asked bool
	at    time.Duration // steady time when it was
}

// bounds are those of all queues together, 0 for none.
type bounds struct {
	maxDisk int64
	minFree int64

	// reserved is the part of maxDisk for what does not ask.
	reserved int64
}

func newBudget(fsys *usage.FS, dir string, o Options) *budget {
	b := &budget{clock: o.Clock, usage: fsys, dir: dir, segment: o.Log.SegmentSize}
	b.set(o.MaxDisk, o.MinFree)
	return b
}

func (b *budget) set(maxDisk, minFree int64) {
	// A segment that is rewritten, and offset files: two of a busy queue while one is rewritten.
	const offsets = 1 << 20
	b.bounds.Store(&bounds{maxDisk, minFree, min(b.segment+offsets, maxDisk/4)})
}

// SetBounds has other bounds apply from now on, as Options.MaxDisk and MinFree. What is over a
// bound stays.
func (r *Registry) SetBounds(maxDisk, minFree int64) { r.budget.set(maxDisk, minFree) }

// admit decides whether a queue may take that many bytes more. The error is an *overBound.
func (b *budget) admit(dir string, s *Settings, bytes int64) error {
	if over := b.check(dir, s, bytes); over != nil {
		return over
	}
	return nil
}

// check returns which bound forbids a queue that many bytes more; nil if none does.
func (b *budget) check(dir string, s *Settings, bytes int64) *overBound {
	refused := func(own bool, format string, bound int64) *overBound {
		text := fmt.Sprintf(format, bound)
		return &overBound{text: text, need: bytes, own: own, discard: s.Discard}
	}
	all := b.bounds.Load()
	switch {
	case s.MaxDisk > 0 && b.usage.Used(dir)+bytes > s.MaxDisk:
		return refused(true, atOwnLimit, s.MaxDisk)
	case all.maxDisk > 0 && b.usage.Total()+bytes > all.maxDisk-all.reserved:
		return refused(false, atSharedLimit, all.maxDisk)
	case all.minFree > 0 && !b.leavesFree(all.minFree, bytes):
		return refused(false, atMinFree, all.minFree)
	}
	return nil
}

// The refusals, with the bound in bytes.
const (
	atOwnLimit = "the queue is at its limit of %d bytes on disk (max-disk of its table, or " +
		"queue-max-disk): take items, or raise it"
	atSharedLimit = "no space left: the data directory is at its limit of %d bytes (max-disk): " +
		"take items, delete queues, or raise it"
	atMinFree = "no space left: the file system is to keep %d bytes free (min-free): " +
		"take items, or free some"
)

// While items come, the kernel is asked once a second what is free. It is asked more often when
// they come by megabytes, and before one is refused, since others may have freed some space.
const (
	askEvery  = time.Second
	askBytes  = 4 << 20
	askAtMost = 10 * time.Millisecond
)

// leavesFree reports whether the file system has minFree bytes left after that many bytes more.
func (b *budget) leavesFree(minFree, bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := b.usage.Total()
	now := clock.Steady(b.clock)
	age := now - b.at
	if !b.asked || age > askEvery || total-b.total > askBytes {
		b.refreshLocked(total, now)
	}
	left := func() bool { return b.free-(total-b.total)-bytes >= minFree }
	if !left() && age > askAtMost {
		b.refreshLocked(total, now)
	}
	return left()
}

func (b *budget) refreshLocked(total int64, now time.Duration) {
	free, err := b.usage.Free(b.dir)
	if err != nil {
		free = 0 // unknown: nothing is admitted until it is known
	}
	b.free, b.total, b.asked, b.at = free, total, true, now
}

// Disk returns the bytes that the data directory takes, as du counts them, and its bound, 0 for
// none. For a moment after the start it knows only a part of them.
func (r *Registry) Disk() (bytes, limit int64) {
	r.usage.Refresh()
	return r.usage.Total(), r.budget.bounds.Load().maxDisk
}

// walk measures the directories in which no log was opened.
func (r *Registry) walk(ctx context.Context) {
	if err := r.usage.Walk(ctx); err != nil && ctx.Err() == nil {
		r.logger.Warn("cannot measure all of the data directory; disk_bytes and max-disk miss the rest",
			"dir", r.dir, "error", err)
	}
}

// mostReused is how many bytes of segments may wait to be used again.
func (r *Registry) mostReused() int64 {
	space := r.o.MaxDisk
	if free, err := r.usage.Free(r.dir); err == nil && (space <= 0 || free < space) {
		space = free
	}
	return space / reuseShare
}
