package wal

// Evidence of what a log should have. After each sync the offset files note what is on stable
// storage: how many items of the log, how many entries of their own. A crash takes none of that
// away. So if a log has less when it is opened, its files were cut, damaged, removed or replaced by
// an older copy. That is counted and logged once.

import (
	"log/slog"
	"slices"

	"github.com/darner/darner/wal/internal/offset"
)

// marksSkipped is how many shared syncs in a row leave an unchanged offset file unmarked: a mark
// changes the file, so that the next sync has to write it.
const marksSkipped = 16

// noteDurable writes into the offset files what is durable now. It is evidence that nothing waits
// for: it reaches the disk with the next sync, or when the kernel writes it.
func (l *Log) noteDurable(u unsynced) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable = max(l.durable, u.next)
	for _, o := range u.offsets {
		o.AfterSync()
	}
	for _, c := range l.consumers {
		if c.off == nil || !c.off.EverSynced() || l.closed || l.failed != nil {
			continue
		}
		if c.marks++; u.shared && c.marks%marksSkipped != 0 && !slices.Contains(u.offsets, c.off) {
			continue
		}
		if c.off.Durable() != l.durable {
			c.checkpoint()
		}
		if c.off.SlotsOutdated() {
			c.off.SetHead(c.st.Head, c.st.Below)
		}
		c.checkFault()
	}
}

// wholeBelowLocked is the number below which all items are known to be whole. While a Commit is
// under way, the name of its body may not be durable yet.
func (l *Log) wholeBelowLocked() uint64 {
	whole := l.durable
	// Not Log.next: after a power cut some numbers below it have no item.
	if n := len(l.files); n > 0 && l.files[n-1].seg != nil {
		whole = max(l.files[n-1].first, l.files[n-1].seg.Totals().Last+1)
	}
	for _, f := range l.files {
		if f.renames > 0 {
			whole = min(whole, f.first)
			break
		}
	}
	u := &l.uploads
	for len(u.maybeTorn) > 0 && l.takenByAllLocked(u.maybeTorn[0]) {
		u.maybeTorn = u.maybeTorn[1:]
	}
	if len(u.maybeTorn) > 0 {
		whole = min(whole, u.maybeTorn[0])
	}
	return max(l.durable, whole)
}

// noteMaybeTorn notes a large item whose body may never have been synced. Items come in order.
func (u *uploads) noteMaybeTorn(seq, durable uint64) {
	if seq >= durable {
		u.maybeTorn = append(u.maybeTorn, seq)
	}
}

// resumeDurable continues the numbering above everything that was once durable, even if the log
// ends before it.
func (l *Log) resumeDurable() {
	for _, c := range l.consumers {
		l.durable = max(l.durable, c.st.Durable)
	}
	all := len(l.consumers) > 0
	for _, c := range l.consumers {
		all = all && c.st.Head >= l.durable
	}
	// If all of it is taken, its segments were deleted or used again.
	if l.durable <= l.next || all {
		return
	}
	l.log.Error("log ends before what was on stable storage: its last segment was cut, removed or "+
		"replaced by an older copy",
		"ends", l.next-1, "stored", l.durable-1)
	l.missing.endedAt, l.next = l.next, l.durable
}

// orphaned reports whether a body has lost its record, and some consumer has yet to take the item.
func (l *Log) orphaned(seq uint64) bool {
	ended := l.missing.endedAt
	return seq >= l.next || ended > 0 && seq >= ended && !l.takenByAllLocked(seq)
}

// reportEarlyEnd counts a log that ended too early if nothing counted it yet, and begins a new
// segment so that the next start does not report it again.
func (l *Log) reportEarlyEnd(counted bool) {
	if l.missing.endedAt == 0 {
		return
	}
	if !counted {
		l.noteLost(1)
	}
	if err := l.rollNowLocked(); err != nil {
		l.log.Warn("cannot begin a new segment after the missing items", "error", err)
	}
}

// mendOffsets counts what an offset file has lost and where it has a flipped bit, and mends it.
// What is lost may make taken items come again; a flipped bit costs nothing.
func (c *Consumer) mendOffsets() {
	o := c.off
	c.l.tellFlipped(o)
	if lost := o.Lost(); lost > 0 {
		c.l.noteLost(uint64(lost))
		copied, err := c.l.quarantine(damage{to: uint32(o.Allocated())}, o.Path)
		c.l.log.Error("offset file is damaged or was cut; taken items may come again",
			"file", o.Path, "places", lost, "copy", copied, "error", err)
	}
	o.Mend(&c.st)
}

// tellFlipped counts the flipped bits of an offset file that is about to be mended.
func (l *Log) tellFlipped(o *offset.File) {
	if n := o.Flipped(); n > 0 {
		l.noteMended(uint64(n))
		l.tellDamage(slog.LevelWarn, "flipped bits in an offset file are mended; nothing is lost",
			"file", o.Path, "places", n)
	}
}
