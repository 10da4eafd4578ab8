package wal

// What is known to be missing. At the end of each sync the offset files are told what is on stable
// storage: so many items of the log, so many entries of their own. A crash takes none of that away.
// What is less when the log is opened was cut, damaged, removed or put back from an older copy, and is
// counted and told once.

import "slices"

// marksSkipped is how many shared syncs in a row may leave out an offset file that they had nothing of: a mark has the
// next one write it.
const marksSkipped = 16

// noteDurable notes in the offset files what is durable now. It is evidence, and nothing waits for it: it reaches the disk with
// the next sync, or when the kernel writes it.
func (l *Log) noteDurable(u unsynced) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable = max(l.durable, u.next)
	for _, o := range u.offsets {
		o.Synced()
	}
	for _, c := range l.consumers {
		if c.off == nil || !c.off.Settled() || l.closed || l.failed != nil {
			continue
		}
		if c.marks++; u.shared && c.marks%marksSkipped != 0 && !slices.Contains(u.offsets, c.off) {
			continue
		}
		if c.off.Durable() != l.durable {
			c.checkpoint()
		}
		if c.off.Untold() {
			c.off.SetHead(c.st.Head, c.st.Below)
		}
		c.checkFault()
	}
}

// wholeBelowLocked is the number below which all items are known to have what they consist of. A body whose Commit is
// under way has a name that is not in the directory for good. Log.mu is held.
func (l *Log) wholeBelowLocked() uint64 {
	whole := l.durable
	if n := len(l.files); n > 0 && l.files[n-1].seg != nil { // numbers that a power cut left without an item prove nothing
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

// noteMaybeTorn notes a large item, in their order, of which it is not known that its body was ever synced.
func (u *uploads) noteMaybeTorn(seq, durable uint64) {
	if seq >= durable {
		u.maybeTorn = append(u.maybeTorn, seq)
	}
}

// resumeDurable lets numbering begin above all that was durable once, though the log may end before it.
func (l *Log) resumeDurable() {
	for _, c := range l.consumers {
		l.durable = max(l.durable, c.st.Durable)
	}
	all := true
	for _, c := range l.consumers {
		all = all && c.st.Head >= l.durable
	}
	if l.durable <= l.next || all && len(l.files) == 0 { // a log gives its last segment back on a full disk: see reclaim
		return
	}
	l.log.Error("log ends before what was on stable storage: its last segment was cut, removed or put back from an older copy",
		"queue", l.name(), "ends", l.next-1, "stored", l.durable-1)
	l.missing.endedAt, l.next = l.next, l.durable
}

// orphaned reports whether a body's record is among what the log lacks, and somebody has yet to take the item.
func (l *Log) orphaned(seq uint64) bool {
	return seq >= l.next || l.missing.endedAt > 0 && seq >= l.missing.endedAt && !l.takenByAllLocked(seq)
}

// reportEarlyEnd sees to it that a log which ended too early is not told of again, and that it counts though
// all that it lacks was taken.
func (l *Log) reportEarlyEnd(counted bool) {
	if l.missing.endedAt == 0 {
		return
	}
	if !counted {
		l.stats.damaged.Add(1)
	}
	if err := l.rollNowLocked(); err != nil {
		l.log.Warn("cannot begin a new segment behind what is missing", "queue", l.name(), "error", err)
	}
}

// reportLostEntries counts what an offset file has lost, and mends the file: taken items may come again.
func (c *Consumer) reportLostEntries() {
	o := c.off
	if lost := o.Lost(); lost > 0 {
		c.l.stats.damaged.Add(uint64(lost))
		copied, err := c.l.quarantine(damage{to: uint32(o.Allocated())}, o.Path)
		c.l.log.Error("offset file is damaged or was cut: items that were taken may come again",
			"queue", c.l.name(), "file", o.Path, "places", lost, "copy", copied, "error", err)
	}
	o.Mend(&c.st)
}
