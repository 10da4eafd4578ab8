package wal

// Preparing: what the background makes ready before anybody needs it. That is blocks and, where
// items come fast, pages ahead of the tail of the active segment; the segment for the next roll;
// and the segment or block that a reader comes to next.

import (
	"errors"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
)

const (
	// populateAhead and populateMost bound how many bytes of pages are populated ahead of the tail
	// of a segment that fills fast: what populateTime is likely to fill. They are written for
	// nothing if no more items come.
	populateAhead = 1 << 20
	populateMost  = 8 << 20
	populateTime  = 50 * time.Millisecond

	// fastRate is how fast a segment has to fill for that, in bytes a second.
	fastRate = 4 << 20

	// fastExtent is how many bytes of blocks the next segment gets at first if the log fills fast.
	fastExtent = 1 << 20
)

// requestPrepare has the background call prepare.
func (l *Log) requestPrepare() {
	if !l.preparing.asked.Swap(true) {
		l.background.prepareLane.push(l.prepare)
	}
}

// prepare makes ready what will be needed next.
func (l *Log) prepare() {
	l.preparing.asked.Store(false)
	l.preparing.Lock()
	defer l.preparing.Unlock()
	l.readyActive()
	l.prepareSpare()
	l.openAhead()
	l.decodeAhead()
}

func (l *Log) prepareSpare() {
	half := func(f *file) bool { return int64(f.seg.Tail()) >= l.o.SegmentSize/2 }
	l.makeSpare(l.preparing.pace.ahead > 0, half)
}

// makeSpare makes a spare if there is none and wants says that the active segment needs one. If the
// log fills fast, the spare gets blocks and pages.
func (l *Log) makeSpare(fast bool, wants func(active *file) bool) {
	l.mu.Lock()
	f := l.activeLocked()
	wanted := !l.closed && f != nil && l.spare.file == nil && wants(f)
	l.spare.made++
	path := l.path(files.SpareName(l.spare.made))
	l.mu.Unlock()
	if !wanted || l.admit(l.blankBytes()) != nil {
		return
	}
	spare, err := l.create(path)
	if err != nil {
		if !disk.IsFull(err) && !disk.IsTransient(err) {
			l.log.Warn("cannot prepare the next segment", "error", err)
		}
		return
	}
	if fast {
		l.readySpare(spare.seg)
	}
	if !l.keepSpare(spare, f) {
		spare.seg.Close()
		l.fs.Remove(path)
	}
}

// keepSpare makes a blank segment the spare of the segment that it was made for. If that has one by
// now, one to use again, or is full, the log needs one more: this one is added to those that wait.
func (l *Log) keepSpare(spare, active *file) (kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return false
	case l.spare.file == nil && l.activeLocked() == active:
		l.spare.file = spare
	case len(l.spare.waiting) < l.mostReusedLocked() &&
		l.background.reuse.begin(l, l.o.SegmentSize):
		spare.pooled = true
		l.awaitReuseLocked(spare)
	default:
		return false
	}
	l.dirty.dir = true
	return true
}

// openAhead opens the segment after each consumer's, and has the kernel read it.
func (l *Log) openAhead() {
	for _, f := range l.besideCursors() {
		l.mu.Lock()
		closed, path := f.seg == nil, f.path
		l.mu.Unlock()
		if closed {
			if err := l.open(f, path); err != nil && !disk.IsTransient(err) {
				l.log.Warn("cannot open the next segment ahead", "file", path, "error", err)
			}
		}
		l.mu.Lock()
		seg := f.seg
		l.mu.Unlock()
		if seg != nil {
			seg.ReadAhead()
		}
		l.release(f)
	}
}

// decodeAhead decodes the blocks of cold segments that readers come to next.
func (l *Log) decodeAhead() {
	type place struct {
		f  *file
		at uint32
	}
	var places []place
	l.mu.Lock()
	for _, c := range l.consumers {
		if c.f != nil && c.f.cold {
			c.f.pins++
			places = append(places, place{c.f, c.at})
		}
	}
	l.mu.Unlock()
	for _, p := range places {
		if p.f.seg.BlockEnd(p.at) < p.f.seg.Tail() {
			p.f.seg.Prefetch(p.at)
		}
		l.release(p.f)
	}
	for _, f := range l.besideCursors() {
		if f.cold && f.seg != nil {
			f.seg.At(segment.HeaderSize)
		}
		l.release(f)
	}
}

// besideCursors returns, pinned, the segments after the ones that consumers are in.
func (l *Log) besideCursors() (ahead []*file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		if i := l.indexLocked(c.seq) + 1; i > 0 && i < len(l.files) {
			l.files[i].pins++
			ahead = append(ahead, l.files[i])
		}
	}
	return ahead
}

// prepareRequested is the prepareAt of a segment for which prepare was requested.
const prepareRequested = ^uint32(0)

// planLocked sets the tail from which the background should prepare: the next extent when half of
// the room is used, the next segment when half of the capacity is. Log.mu is held, or nobody else
// has the file.
func (f *file) planLocked() {
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
	ahead int64 // bytes of pages to populate; 0: items do not come fast
	f     *file // the active segment at the last look; the rest is of then as well
	tail  uint32
	at    time.Duration // steady time
	items uint64
	syncs uint64
}

// look finds out whether items come fast. They do not if a sync follows after a few of them: each
// sync would write the populated pages. Pages are also useless for items so long that they are
// written to the file, unless the file is used again.
func (p *pace) look(f *file, items, syncs uint64, now time.Duration) {
	was := *p
	*p = pace{f: f, tail: f.seg.Tail(), at: now, items: items, syncs: syncs}
	filled := int64(p.tail)
	if f == was.f {
		filled -= int64(was.tail)
	} else if was.f != nil { // at least
		filled += f.seg.Header().Capacity - int64(was.tail)
	}
	rate := float64(filled) / max(now-was.at, 1).Seconds()
	ahead := int64(min(max(rate*populateTime.Seconds(), populateAhead), populateMost))
	if was.f != nil && rate >= fastRate &&
		(f.reused || filled < int64(items-was.items)*segment.DirectWriteSize) &&
		int64(syncs-was.syncs)*ahead <= 8*filled {
		p.ahead = ahead
	}
}

// populate populates the pages ahead of the tail. It returns from which tail on to do so again.
func (p *pace) populate(s *segment.Segment) (again uint32) {
	if p.ahead == 0 {
		return prepareRequested
	}
	ready, tail := s.Populate(p.ahead), s.Tail()
	if ready <= tail+populateAhead/2 { // the disk is too slow, or the segment is nearly full
		return prepareRequested
	}
	return tail + (ready-tail)/4
}

// readyActive prepares the active segment.
func (l *Log) readyActive() {
	l.mu.Lock()
	f := l.activeLocked()
	if f == nil || l.closed || f.prepareAt != prepareRequested {
		l.mu.Unlock()
		return
	}
	f.pins++
	items := l.total.items
	l.mu.Unlock()
	l.preparing.pace.look(f, items, l.stats.syncs.Load(), l.steady())
	if f.seg.Tail() >= f.extendAt {
		l.extendAhead(f)
	}
	again := l.preparing.pace.populate(f.seg)
	l.mu.Lock()
	if f.seg != nil {
		f.planLocked()
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
	sealed := errors.Is(err, segment.ErrReadOnly) // meanwhile
	if err != nil && !sealed && !disk.IsFull(err) && !errors.Is(err, ErrFull) {
		l.log.Warn("cannot allocate blocks ahead", "error", err)
	}
}

// readySpare prepares a spare for a log that fills fast. Small segments grow in small steps.
func (l *Log) readySpare(s *segment.Segment) {
	if l.o.SegmentSize < 4*fastExtent || l.admit(s.Step(fastExtent)) != nil {
		return
	}
	if s.Extend(fastExtent) == nil {
		s.Populate(populateAhead)
	}
}
