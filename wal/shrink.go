package wal

// A log that is empty, or nearly so, gives its space back: when nothing happened for a moment a new segment is
// begun, a small one, and the old ones are deleted, or rewritten to the little that is left of them. A log
// that is opened is judged by what it holds, however it came to that: a crash may have come first.

import (
	"errors"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/offset"
)

// idleness is what a log knows about holding space in vain. Log.mu guards it.
type idleness struct {
	timer    clock.Timer
	armed    bool
	activity uint64 // activityLocked when the timer was set
	expired  bool   // it rang without activity since: the background frees the space
}

const (
	// emptyFor is how long nothing happens before space is given back.
	emptyFor = time.Second

	// smallEnough is not worth giving back before the log is closed, in bytes.
	smallEnough = 64 << 10

	// worthMoving is how many bytes a log has to hold for what is left in it to be written anew.
	worthMoving = 256 << 10

	// nearlyShare is which part of a log, or of a segment, is left at most when it is nearly empty.
	nearlyShare = 8
)

// checkEmptyLocked is called when a consumer has taken all there is. Log.mu is held.
func (l *Log) checkEmptyLocked() {
	if l.idle.armed || l.closed || !l.worthGivingBackLocked() {
		return
	}
	l.startIdleTimerLocked()
}

// checkWasteLocked is called when the log is opened. Log.mu is held.
func (l *Log) checkWasteLocked() {
	if !l.idle.armed && l.holdsWasteLocked() {
		l.startIdleTimerLocked()
	}
}

func (l *Log) startIdleTimerLocked() {
	l.idle.armed, l.idle.activity = true, l.activityLocked()
	l.idle.timer.Reset(emptyFor)
}

// activityLocked goes up with all that is appended and taken. Log.mu is held.
func (l *Log) activityLocked() uint64 {
	n := l.next
	for _, c := range l.consumers {
		n += c.st.Head + c.st.Taken.Count
	}
	return n
}

func (l *Log) worthGivingBackLocked() bool {
	n := len(l.files)
	if n > 1 || n == 1 && l.files[0].bytes() > smallEnough {
		return true
	}
	for _, c := range l.consumers {
		if c.off != nil && c.off.Allocated() > smallEnough {
			return true
		}
	}
	return false
}

// holdsWasteLocked reports that the log is empty, or nearly so, and yet holds space. Log.mu is held.
func (l *Log) holdsWasteLocked() bool {
	switch {
	case l.usableLocked() != nil || len(l.consumers) == 0:
		return false
	case l.allTakenLocked():
		return l.worthGivingBackLocked()
	}
	live := int64(0)
	for _, c := range l.consumers {
		items, bytes := c.pending()
		live += liveBytes(items, bytes)
	}
	return nearlyEmpty(live, l.diskBytesLocked())
}

// liveBytes is what items take of a segment, and of bodies of their own.
func liveBytes(items, bytes int64) int64 { return items*segment.RecordSize(0) + bytes }

// nearlyEmpty reports that of so many bytes of disk so little is live that it pays to write that anew.
func nearlyEmpty(live, disk int64) bool { return disk > worthMoving && nearlyShare*live <= disk }

// usedUpLocked reports that all there is was taken, the active segment's records too. Log.mu is held.
func (l *Log) usedUpLocked(active *file) bool {
	const worthwhile = 4 << 10
	return active.seg.Tail() >= worthwhile && l.allTakenLocked()
}

// largeAndTakenLocked reports that all was taken of a log whose last segment takes no appends, and is worth giving
// back. Log.mu is held.
func (l *Log) largeAndTakenLocked() bool {
	n := len(l.files)
	return n > 0 && l.files[n-1].bytes() > smallEnough && l.allTakenLocked()
}

// nearlyUsedUpLocked is usedUp, or true when little is left of the active segment. Log.mu is held.
func (l *Log) nearlyUsedUpLocked(active *file) bool {
	if l.usedUpLocked(active) {
		return true
	}
	live := uint64(0)
	for _, c := range l.consumers {
		live += l.next - min(l.next, max(c.st.Head, active.first))
		if c.st.Head >= active.first {
			live -= c.st.Taken.Count
		}
	}
	return active.bytes() > worthMoving && nearlyDead(live, active.seg.Totals().Items)
}

// idleTimerFired is what the timer does.
func (l *Log) idleTimerFired() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || !l.holdsWasteLocked():
		l.idle.armed = false
	case l.idle.activity != l.activityLocked():
		l.startIdleTimerLocked()
	default:
		l.idle.armed, l.idle.expired = false, true
		l.requestCleanup()
	}
}

// shrinkIdle begins a small segment in place of a large one, and small offset files likewise, when the
// log has been empty, or nearly so, for a while.
func (l *Log) shrinkIdle() {
	l.mu.Lock()
	wanted := l.idle.expired && l.holdsWasteLocked()
	l.idle.expired = false
	n := len(l.files)
	large := n > 0 && l.files[n-1].bytes() > smallEnough
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
		l.shrink(l.nearlyUsedUpLocked)
	}
	for _, c := range offsets {
		if err := c.rewrite(offset.FirstStep); err != nil && !disk.IsFull(err) {
			l.log.Warn("cannot rewrite an offset file", "queue", l.name(), "consumer", c.name, "error", err)
		}
	}
}

// shrink begins a new segment when the active one is of little use any more, so that it can go.
func (l *Log) shrink(useless func(active *file) bool) {
	l.preparing.Lock() // else it might put back what is dropped
	defer l.preparing.Unlock()
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
		if err != nil && !disk.IsFull(err) && !errors.Is(err, ErrFull) && !isTransient(err) {
			l.log.Warn("cannot prepare the next segment", "queue", l.name(), "error", err)
		}
	}
	if !l.wantsAnotherLocked(useless) || !l.canRollLocked() {
		return
	}
	if err := l.rollLocked(); err != nil && !disk.IsFull(err) && !isTransient(err) {
		l.log.Warn("cannot give an empty queue's space back", "queue", l.name(), "error", err)
	}
}

// wantsAnotherLocked reports that the last segment is of little use any more. Log.mu is held.
func (l *Log) wantsAnotherLocked(useless func(active *file) bool) bool {
	if f := l.activeLocked(); f != nil {
		return useless(f)
	}
	return l.largeAndTakenLocked()
}

// Slim gives back what a log holds in vain that is empty or nearly so, as time does while the log is open. It
// is for one that nobody uses, and waits for the disk and for compaction; when quit is closed it returns
// and leaves the rest undone.
func (l *Log) Slim(quit <-chan struct{}) {
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
	case <-quit:
	}
}

// runNearlyDead rewrites the segments of which nearly nothing is left, as if all readers were at rest.
func (k *compactor) runNearlyDead() {
	k.working.Lock()
	defer k.working.Unlock()
	for k.l.Err() == nil {
		k.assumeAtRest()
		s := k.survey()
		i := s.emptiest()
		if i < 0 || !nearlyDead(s.list[i].live, s.list[i].records) || k.rewriteRun(s.joined(i)) != nil {
			return
		}
	}
}

// rested has the next survey find readers and writers at rest.
func (k *compactor) assumeAtRest() {
	l := k.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		c.seen = c.seq
	}
	k.surveyed = l.next
}
