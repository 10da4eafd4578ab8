package wal

// A log that is empty, or nearly so, gives its space back: when nothing happened for a moment a new segment is
// begun, a small one, and the old ones are deleted, or rewritten to the little that is left of them. A log
// that is opened is judged by what it holds, however it came to that: a crash may have come first.

import (
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/offset"
)

// emptied is what a log knows about holding space in vain. Log.mu guards it.
type emptied struct {
	timer *time.Timer
	armed bool
	moved uint64 // Log.moved when that was last found
	quiet bool   // nothing happened since then: the background is to give the space back
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

// noteEmpty is called when a consumer has taken all there is. Log.mu is held.
func (l *Log) noteEmpty() {
	if l.empty.armed || l.closed || !l.worthGivingBack() {
		return
	}
	l.waitForQuiet()
}

// noteWaste is called when the log is opened. Log.mu is held.
func (l *Log) noteWaste() {
	if !l.empty.armed && l.holdsInVain() {
		l.waitForQuiet()
	}
}

func (l *Log) waitForQuiet() {
	l.empty.armed, l.empty.moved = true, l.moved()
	l.empty.timer.Reset(emptyFor)
}

// moved goes up with all that is appended and taken. Log.mu is held.
func (l *Log) moved() uint64 {
	n := l.next
	for _, c := range l.consumers {
		n += c.st.Head + c.st.Taken.Count
	}
	return n
}

func (l *Log) worthGivingBack() bool {
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

// holdsInVain reports that the log is empty, or nearly so, and yet holds space. Log.mu is held.
func (l *Log) holdsInVain() bool {
	switch {
	case l.usable() != nil || len(l.consumers) == 0:
		return false
	case l.allTaken():
		return l.worthGivingBack()
	}
	live := int64(0)
	for _, c := range l.consumers {
		items, bytes := c.pending()
		live += liveBytes(items, bytes)
	}
	return nearlyEmpty(live, l.diskBytes())
}

// liveBytes is what items take of a segment, and of bodies of their own.
func liveBytes(items, bytes int64) int64 { return items*segment.RecordSize(0) + bytes }

// nearlyEmpty reports that of so many bytes of disk so little is live that it pays to write that anew.
func nearlyEmpty(live, disk int64) bool { return disk > worthMoving && nearlyShare*live <= disk }

// usedUp reports that all there is was taken, the active segment's records too. Log.mu is held.
func (l *Log) usedUp(active *file) bool {
	const worthwhile = 4 << 10
	return active.seg.Tail() >= worthwhile && l.allTaken()
}

// largeAndTaken reports that all was taken of a log whose last segment takes no appends, and is worth giving
// back. Log.mu is held.
func (l *Log) largeAndTaken() bool {
	n := len(l.files)
	return n > 0 && l.files[n-1].bytes() > smallEnough && l.allTaken()
}

// nearlyUsedUp is usedUp, or true when little is left of the active segment. Log.mu is held.
func (l *Log) nearlyUsedUp(active *file) bool {
	if l.usedUp(active) {
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

// stillEmpty is what the timer does.
func (l *Log) stillEmpty() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || !l.holdsInVain():
		l.empty.armed = false
	case l.empty.moved != l.moved():
		l.waitForQuiet()
	default:
		l.empty.armed, l.empty.quiet = false, true
		l.askLater()
	}
}

// giveBack begins a small segment in place of a large one, and small offset files likewise, when the
// log has been empty, or nearly so, for a while.
func (l *Log) giveBack() {
	l.mu.Lock()
	wanted := l.empty.quiet && l.holdsInVain()
	l.empty.quiet = false
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
		l.shrink(l.nearlyUsedUp)
	}
	for _, c := range offsets {
		if err := c.rewrite(offset.FirstStep); err != nil && !disk.IsFull(err) {
			l.log.Warn("cannot rewrite an offset file", "queue", l.name(), "consumer", c.name, "error", err)
		}
	}
}

// Slim gives back what a log holds in vain that is empty or nearly so, as time does while the log is open. It
// is for one that nobody uses, and waits for the disk and for compaction; when quit is closed it returns
// and leaves the rest undone.
func (l *Log) Slim(quit <-chan struct{}) {
	l.mu.Lock()
	l.empty.quiet = l.holdsInVain()
	wanted := l.empty.quiet
	l.mu.Unlock()
	if !wanted {
		return
	}
	l.tidy()
	done := make(chan struct{})
	l.slow.compact.push(func() {
		defer close(done)
		l.compactNearlyDead()
	})
	select {
	case <-done:
		l.tidy()
	case <-quit:
	}
}

// compactNearlyDead rewrites the segments of which nearly nothing is left, as if all readers were at rest.
func (l *Log) compactNearlyDead() {
	l.compacting.Lock()
	defer l.compacting.Unlock()
	for l.Err() == nil {
		l.rested()
		s := l.survey()
		i := s.emptiest()
		if i < 0 || !nearlyDead(s.list[i].live, s.list[i].records) || l.rewriteRun(s.joined(i)) != nil {
			return
		}
	}
}

// rested has the next survey find readers and writers at rest.
func (l *Log) rested() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		c.seen = c.seq
	}
	l.surveyed = l.next
}
