package wal

// A queue that was emptied gives its space back: when nothing came for a moment a new segment is
// begun, a small one, and the old ones are deleted.

import (
	"time"

	"github.com/darner/darner/segment/disk"
)

// emptied is what a log knows about being empty. Log.mu guards it.
type emptied struct {
	timer *time.Timer
	armed bool
	next  uint64 // Log.next when it was last found empty
	quiet bool   // nothing came since then: the background is to give the space back
}

const (
	// emptyFor is how long a log is empty before its space is given back.
	emptyFor = time.Second

	// smallEnough is not worth giving back before the log is closed, in bytes.
	smallEnough = 64 << 10
)

// noteEmpty is called when a consumer has taken all there is. Log.mu is held.
func (l *Log) noteEmpty() {
	if l.empty.armed || l.closed || !l.worthGivingBack() {
		return
	}
	l.empty.armed, l.empty.next = true, l.next
	l.empty.timer.Reset(emptyFor)
}

func (l *Log) worthGivingBack() bool {
	n := len(l.files)
	if n > 1 || n == 1 && l.files[0].bytes() > smallEnough {
		return true
	}
	for _, c := range l.consumers {
		if c.off != nil && c.off.allocated > smallEnough {
			return true
		}
	}
	return false
}

// stillEmpty is what the timer does.
func (l *Log) stillEmpty() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || !l.allTaken():
		l.empty.armed = false
	case l.empty.next != l.next:
		l.empty.next = l.next
		l.empty.timer.Reset(emptyFor)
	default:
		l.empty.armed, l.empty.quiet = false, true
		l.askLater()
	}
}

// giveBack begins a small segment in place of a large one, and small offset files likewise, when the
// log has been empty for a while.
func (l *Log) giveBack() {
	l.mu.Lock()
	wanted := l.empty.quiet && l.allTaken()
	l.empty.quiet = false
	f := l.active()
	large := f != nil && f.bytes() > smallEnough
	var offsets []*Consumer
	for _, c := range l.consumers {
		if c.off != nil && c.off.allocated > smallEnough {
			offsets = append(offsets, c)
		}
	}
	l.mu.Unlock()
	if !wanted {
		return
	}
	if large {
		l.shrink()
	}
	for _, c := range offsets {
		if err := c.rewrite(offsetFirstStep); err != nil && !disk.IsFull(err) {
			l.log.Warn("cannot rewrite an offset file", "queue", l.name(), "consumer", c.name, "error", err)
		}
	}
}
