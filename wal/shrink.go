package wal

// Shrinking: a log that is empty, or nearly so, frees its disk space. After a moment without
// activity it begins a new, small segment; the old ones are deleted, or rewritten to the little
// that is left. A log that is opened is judged by what it holds, whatever happened before.

import (
	"context"
	"errors"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/offset"
)

// idleness is what a log knows about the space that it need not hold. Log.mu guards it.
type idleness struct {
	timer    clock.Timer
	armed    bool
	activity uint64 // activityLocked when the timer was set
	expired  bool   // it rang without activity since: the background frees the space
	reclaim  bool   // reclaim deletes the active segment, if all is taken
}

const (
	// emptyFor is how long the log is idle before it frees space.
	emptyFor = time.Second

	// smallEnough is how many bytes are not worth freeing before the log is closed.
	smallEnough = 64 << 10

	// worthMoving is how many bytes a log holds at least before what is left in it is rewritten.
	worthMoving = 256 << 10

	// nearlyShare: a log or a segment is nearly empty when at most one part in so many is live.
	nearlyShare = 8
)

// checkEmptyLocked is called when a consumer has taken everything.
func (l *Log) checkEmptyLocked() {
	if l.idle.armed || l.closed || !l.worthGivingBackLocked() {
		return
	}
	l.startIdleTimerLocked()
}

// checkWasteLocked is called when the log is opened, and when an upload breaks off or is moved.
func (l *Log) checkWasteLocked() {
	if !l.idle.armed && l.holdsWasteLocked() {
		l.startIdleTimerLocked()
	}
}

func (l *Log) startIdleTimerLocked() {
	l.idle.armed, l.idle.activity = true, l.activityLocked()
	l.idle.timer.Reset(emptyFor)
}

// watchLocked has the background look again in a moment, for what only a busy log keeps.
func (l *Log) watchLocked() {
	if !l.idle.armed && !l.closed {
		l.startIdleTimerLocked()
	}
}

// onlyBusyLocked reports whether the log keeps what only a busy one does: segments that wait to be
// used again, or to be taken before they are sealed.
func (l *Log) onlyBusyLocked() bool {
	n := len(l.files)
	return len(l.spare.waiting) > 0 || l.spare.file != nil && l.spare.file.pooled ||
		n > 1 && !l.files[n-2].sealed && !l.files[n-2].awaitedLocked()
}

// activityLocked rises with everything that is appended or taken.
func (l *Log) activityLocked() uint64 {
	n := l.next
	for _, c := range l.consumers {
		n += c.st.Head + c.st.Taken.Count
	}
	return n
}

func (l *Log) worthGivingBackLocked() bool {
	n := len(l.files)
	if n > 1 || n == 1 && l.files[0].bytesLocked() > smallEnough {
		return true
	}
	for _, c := range l.consumers {
		if c.off != nil && c.off.Allocated() > smallEnough {
			return true
		}
	}
	return false
}

// holdsWasteLocked reports whether the log is empty, or nearly so, and yet holds space.
func (l *Log) holdsWasteLocked() bool {
	switch {
	case l.usableLocked() != nil || len(l.consumers) == 0:
		return false
	case l.allTakenLocked():
		return l.worthGivingBackLocked()
	}
	return nearlyEmpty(l.liveBytesLocked(), l.diskBytesLocked())
}

// liveBytesLocked is how many bytes the items take that consumers have yet to take.
func (l *Log) liveBytesLocked() (n int64) {
	for _, c := range l.consumers {
		items, bytes := c.pending()
		n += liveBytes(items, bytes)
	}
	return n
}

// liveBytes is how many bytes items take in segments and bodies.
func liveBytes(items, bytes int64) int64 { return items*segment.RecordSize(0) + bytes }

// nearlyEmpty reports whether so little of the disk space is live that rewriting it pays.
func nearlyEmpty(live, disk int64) bool { return disk > worthMoving && nearlyShare*live <= disk }

// usedUpLocked reports whether everything is taken, and the active segment has some records.
func (l *Log) usedUpLocked(active *file) bool {
	const worthwhile = 4 << 10
	return active.seg.Tail() >= worthwhile && active.first < l.next && l.allTakenLocked()
}

// largeAndTakenLocked reports whether everything is taken, and the last segment, which takes no
// appends, is worth freeing.
func (l *Log) largeAndTakenLocked() bool {
	n := len(l.files)
	return n > 0 && l.files[n-1].bytesLocked() > smallEnough && l.allTakenLocked()
}

// unusedLocked reports whether the active segment has no number yet, and yet takes space: uploads
// broke off. The next segment would begin with the same number.
func (l *Log) unusedLocked() bool {
	f := l.activeLocked()
	return f != nil && f.first == l.next && f.bytesLocked() > smallEnough
}

// nearlyUsedUpLocked is usedUpLocked, but also true if the active segment has few records and takes
// much space, or if little is left of it.
func (l *Log) nearlyUsedUpLocked(active *file) bool {
	switch {
	case active.first == l.next:
		return false
	case l.usedUpLocked(active), active.bytesLocked() > smallEnough && l.allTakenLocked():
		return true
	}
	live := uint64(0)
	for _, c := range l.consumers {
		live += l.next - min(l.next, max(c.st.Head, active.first))
		if c.st.Head >= active.first {
			live -= c.st.Taken.Count
		}
	}
	items, bytes := active.seg.Totals().Items, active.bytesLocked()
	return items > 0 && bytes > worthMoving &&
		(nearlyShare*live <= items ||
			len(active.coming) == 0 && nearlyEmpty(l.liveBytesLocked(), bytes))
}

// idleTimerFired is called by the timer.
func (l *Log) idleTimerFired() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.usableLocked() != nil || !l.holdsWasteLocked() && !l.onlyBusyLocked():
		l.idle.armed = false
	case l.idle.activity != l.activityLocked():
		l.startIdleTimerLocked()
		if l.onlyBusyLocked() {
			l.requestCleanup()
		}
	default:
		l.idle.armed, l.idle.expired = false, true
		l.requestCleanup()
	}
}

// shrinkIdle replaces a large active segment, and large offset files, by small ones if the log has
// been idle and empty, or nearly so.
func (l *Log) shrinkIdle() {
	l.mu.Lock()
	if l.idle.expired {
		l.rolls = rolls{}
	}
	wanted := l.idle.expired && l.holdsWasteLocked()
	l.idle.expired = false
	l.idle.reclaim = wanted && l.unusedLocked()
	n := len(l.files)
	large := n > 0 && l.files[n-1].bytesLocked() > smallEnough
	var offsets []*Consumer
	for _, c := range l.consumers {
		if c.off != nil && c.off.Allocated() > smallEnough && c.live() <= smallEnough/2 {
			offsets = append(offsets, c)
		}
	}
	l.mu.Unlock()
	if !wanted {
		return
	}
	if large {
		l.moveSlowUploads() // or one of them would keep the next segment
		l.shrink(l.nearlyUsedUpLocked)
	}
	for _, c := range offsets {
		if err := c.rewrite(offset.FirstStep); err != nil && !disk.IsFull(err) {
			l.log.Warn("cannot rewrite an offset file", "consumer", c.name, "error", err)
		}
	}
}

// shrink begins a new segment if the active one is useless, so that the active one can be deleted.
func (l *Log) shrink(useless func(active *file) bool) {
	l.preparing.Lock() // so that prepare does not make again what is dropped
	defer l.preparing.Unlock()
	l.giveBackReused()
	if l.spareBytes() > smallEnough {
		l.dropSpare()
	}
	l.makeSpare(false, useless)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.wantsAnotherLocked(useless) {
		return
	}
	if !l.canRollLocked() {
		l.mu.Unlock()
		err := l.makeNext()
		l.mu.Lock()
		if err != nil && !disk.IsFull(err) && !errors.Is(err, ErrFull) && !disk.IsTransient(err) {
			l.log.Warn("cannot prepare the next segment", "error", err)
		}
	}
	if !l.wantsAnotherLocked(useless) || !l.canRollLocked() {
		return
	}
	if err := l.rollLocked(); err != nil && !disk.IsFull(err) && !disk.IsTransient(err) {
		l.log.Warn("cannot free the space of an empty queue", "error", err)
	}
}

// wantsAnotherLocked reports whether the last segment is useless, and the next one is not as large.
func (l *Log) wantsAnotherLocked(useless func(active *file) bool) bool {
	if next := l.spare.file; next != nil && len(next.coming) > 0 {
		return false
	}
	if f := l.activeLocked(); f != nil {
		return useless(f)
	}
	return l.largeAndTakenLocked()
}

// Slim does at once what an idle log does by itself after a second: it frees the space of one that
// is empty or nearly so. It is for a log that nobody uses. It waits for the disk and for
// compaction. When ctx is done, it returns and leaves the rest undone.
func (l *Log) Slim(ctx context.Context) {
	l.mu.Lock()
	l.idle.expired = l.holdsWasteLocked()
	wanted := l.idle.expired
	l.mu.Unlock()
	if !wanted {
		return
	}
	l.cleanup()
	done := make(chan struct{})
	l.background.compactLane.push(func() {
		defer close(done)
		l.compaction.runNearlyDead()
	})
	select {
	case <-done:
		l.cleanup()
	case <-ctx.Done():
	}
}

// runNearlyDead rewrites the segments of which nearly nothing is left, as if all readers were at
// rest.
func (k *compactor) runNearlyDead() {
	k.working.Lock()
	defer k.working.Unlock()
	for k.l.Err() == nil {
		k.assumeAtRest()
		s := k.survey()
		i := s.emptiest()
		if i < 0 || !s.list[i].nearlyDead() {
			return
		}
		if k.rewriteRun(s.joined(i)) != nil {
			return
		}
	}
}

// assumeAtRest makes the next survey find readers and writers at rest.
func (k *compactor) assumeAtRest() {
	l := k.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		c.seen = c.seq
	}
	k.surveyed = l.next
}
