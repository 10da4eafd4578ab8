package wal

// What the background gets ready ahead of the tail of the active segment, so that an append meets neither a
// missing block nor, where items come fast, a page fault.

import (
	"errors"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

const (
	// populateAhead is how many bytes ahead the pages of a segment are got ready that fills fast. So much is
	// written for nothing when no more comes.
	populateAhead = 1 << 20

	// fastRate is how fast a segment fills, in bytes a second, for which that is worth while.
	fastRate = 4 << 20

	// fastExtent is what the next segment of a log that fills fast has of the disk from the start.
	fastExtent = 1 << 20
)

// asked is the prepareAt of a segment that the background is to prepare room for.
const asked = ^uint32(0)

// plan says from which tail on the background should prepare: the next extent when half of the room allocated
// ahead is used, the next segment when half of the capacity is. Log.mu is held, or nobody has the file.
func (f *file) plan() {
	tail, half := f.seg.Tail(), uint32(f.seg.Header().Capacity/2)
	if tail >= f.extendAt || f.prepareAt == 0 {
		f.extendAt = tail + uint32(f.seg.Room()/2)
	}
	f.prepareAt = f.extendAt
	if tail < half {
		f.prepareAt = min(f.prepareAt, half)
	}
}

// pace is how fast a log fills. Log.preparing guards it.
type pace struct {
	fast  bool
	f     *file // when it was last looked at, and so is the rest
	tail  uint32
	at    time.Duration // steady time
	items uint64
	syncs uint64
}

// look finds out whether items come fast. They do not when a sync follows on a few of them: it would write, each
// time, the pages that were got ready. And pages are of no use to items that are so long that they are written.
func (p *pace) look(f *file, items, syncs uint64, now time.Duration) {
	was := *p
	*p = pace{f: f, tail: f.seg.Tail(), at: now, items: items, syncs: syncs}
	filled := int64(p.tail)
	if f == was.f {
		filled -= int64(was.tail)
	}
	p.fast = was.f != nil && filled*int64(time.Second) >= int64(now-was.at)*fastRate &&
		filled < int64(items-was.items)*segment.Written && int64(syncs-was.syncs)*populateAhead <= 8*filled
}

// readyActive prepares what comes next in the active segment.
func (l *Log) readyActive() {
	l.mu.Lock()
	f := l.activeLocked()
	if f == nil || l.closed || f.prepareAt != asked {
		l.mu.Unlock()
		return
	}
	f.pins++
	items := l.ever.items
	l.mu.Unlock()
	l.preparing.pace.look(f, items, l.stats.syncs.Load(), l.steady())
	if f.seg.Tail() >= f.extendAt {
		l.extendAhead(f)
	}
	again := asked
	if l.preparing.pace.fast {
		if ready := f.seg.Populate(populateAhead); ready > f.seg.Tail()+populateAhead/2 { // else the disk lags
			again = ready - populateAhead*3/4
		}
	}
	l.mu.Lock()
	if f.seg != nil {
		f.plan()
		f.prepareAt = min(f.prepareAt, again)
	}
	l.mu.Unlock()
	l.release(f)
}

func (l *Log) extendAhead(f *file) {
	more := f.seg.Room() + 1 // one step more than there is
	err := l.admit(f.seg.Step(more))
	if err == nil {
		err = f.seg.Extend(more)
	}
	if err != nil && !disk.IsFull(err) && !errors.Is(err, ErrFull) && !errors.Is(err, segment.ErrReadOnly) { // sealed meanwhile
		l.log.Warn("cannot allocate ahead", "queue", l.name(), "error", err)
	}
}

// readySpare prepares in a spare what a log needs at once that fills fast; small segments grow by small steps.
func (l *Log) readySpare(s *segment.Segment) {
	if l.o.SegmentSize >= 4*fastExtent && l.admit(s.Step(fastExtent)) == nil && s.Extend(fastExtent) == nil {
		s.Populate(populateAhead)
	}
}
