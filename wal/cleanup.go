package wal

// Cleanup.

import (
	"errors"

	"github.com/darner/darner/segment/disk"
)

func (l *Log) requestCleanup() {
	if !l.cleaning.asked.Swap(true) {
		l.background.cleanupLane.push(l.cleanup)
	}
}

// tidy does what can wait.
func (l *Log) cleanup() {
	l.cleaning.asked.Store(false)
	l.cleaning.Lock()
	defer l.cleaning.Unlock()
	if l.isClosed() {
		return
	}
	if err := l.nameStarted(); err != nil {
		l.fail(err)
	}
	l.setAside()
	l.setForeignAside()
	l.shrinkIdle()
	l.removeTaken()
	l.sealRolled()
	l.rewriteOffsets()
	l.reclaim()
	l.closeUnused()
}

func (l *Log) rewriteOffsets() {
	if l.background.reserve.lent.Load() { // compaction needs what there is, and asks again behind it
		return
	}
	if err := l.replaceLost(); err != nil && !disk.IsFull(err) {
		l.log.Warn("cannot make an offset file", "queue", l.name(), "error", err)
	}
	for _, c := range l.needRewrite() {
		if err := c.rewrite(l.rewriteBound()); err != nil {
			if !disk.IsFull(err) {
				l.log.Warn("cannot rewrite an offset file", "queue", l.name(), "consumer", c.name, "error", err)
			}
		}
	}
}

// replaceLost makes the offset file of a consumer that took something and has none.
func (l *Log) replaceLost() error {
	l.mu.Lock()
	lost := false
	for _, c := range l.consumers {
		lost = lost || c.off == nil && c.unsaved
	}
	l.mu.Unlock()
	if !lost {
		return nil
	}
	l.preparing.Lock()
	defer l.preparing.Unlock()
	return l.makeOffsets()
}

func (l *Log) needRewrite() (due []*Consumer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		if !c.rewriteRequested {
			continue
		}
		c.rewriteRequested = false // after a failure it is asked for again
		if c.off != nil && (c.unsaved || c.off.End() >= c.rewriteAt) {
			due = append(due, c)
		}
	}
	return due
}

// removeTaken deletes what every consumer has taken: segments, and bodies of large items. What was
// taken is made durable first, so that a segment that is missing later is known to be damage.
func (l *Log) removeTaken() {
	head, some := l.takenBelow()
	bodies := l.takenBodies()
	if !some && len(bodies) == 0 {
		return
	}
	if err := l.Sync(); err != nil {
		return // the files stay
	}
	files := l.takenFiles(head)
	for _, f := range files {
		if l.isClosed() {
			break // the names may be another log's soon
		}
		if err := l.discardFile(f); err != nil && !isNotExist(err) {
			l.log.Warn("cannot delete a segment that is taken", "file", f.path, "error", err)
		}
	}
	for _, seq := range bodies {
		if l.isClosed() {
			break
		}
		l.removeBody(seq)
	}
	l.mu.Lock()
	l.dirty.dir = true
	l.touchLocked()
	l.mu.Unlock()
	for _, f := range files {
		l.release(f)
	}
}

// discardFile deletes a segment that is taken. What could not be read was not taken, only passed.
func (l *Log) discardFile(f *file) error {
	if !f.lost {
		return l.fs.Remove(f.path)
	}
	to, err := l.moveAside(f.path)
	if err == nil {
		l.log.Error("unreadable segment set aside", "queue", l.name(), "file", f.path, "now", to)
	}
	return err
}

// reclaim gives back an active segment of which all is taken, when the disk is full: it may be all
// the space there is. The next item begins another.
func (l *Log) reclaim() {
	l.mu.Lock()
	wanted, next := l.room.diskFull && l.allTakenLocked(), l.next
	full := l.room.diskFull
	l.room.diskFull = false
	l.mu.Unlock()
	if full {
		l.dropSpare()
	}
	if !wanted || l.Sync() != nil { // numbering goes on from what the consumers have taken
		return
	}
	l.mu.Lock()
	var gone []*file
	if f := l.activeLocked(); f != nil && l.next == next && len(l.files) == 1 && f.named && f.renames == 0 {
		gone, l.files = l.files, nil
		l.dropLocked(gone)
	}
	l.mu.Unlock()
	for _, f := range gone {
		if err := l.fs.Remove(f.path); err != nil {
			l.log.Warn("cannot delete a segment that is taken", "file", f.path, "error", err)
		}
		l.release(f)
	}
}

func (l *Log) spareBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare.file == nil {
		return 0
	}
	return l.spare.file.bytes()
}

// dropSpare gives back the segment prepared ahead: on a full disk its blocks are for compaction.
func (l *Log) dropSpare() {
	l.mu.Lock()
	spare := l.spare.file
	l.spare.file = nil
	l.mu.Unlock()
	if spare == nil {
		return
	}
	if err := errors.Join(spare.seg.Close(), l.fs.Remove(spare.path)); err != nil {
		l.log.Warn("cannot give back a segment prepared ahead", "file", spare.path, "error", err)
	}
}

// allTakenLocked reports that every consumer has taken all there is.
func (l *Log) allTakenLocked() bool {
	return l.usableLocked() == nil && len(l.consumers) > 0 && l.minHeadLocked() == l.next
}

// takenBelow is what every consumer has taken, and whether a segment is wholly below it.
func (l *Log) takenBelow() (head uint64, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.consumers) == 0 || l.failed != nil {
		return 0, false
	}
	head = l.minHeadLocked()
	return head, len(l.files) > 1 && l.files[1].first <= head
}

// takenFiles takes the segments below head out of the log, pinned. The last one stays: it takes
// appends.
func (l *Log) takenFiles(head uint64) (gone []*file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.files)-1 && l.files[n+1].first <= head && l.files[n].named && l.files[n].renames == 0 && !l.files[n].compacting {
		n++
	}
	gone = append(gone, l.files[:n]...)
	l.files = append([]*file(nil), l.files[n:]...)
	l.dropLocked(gone)
	return gone
}

// dropLocked pins segments that were taken out of the log, for whoever removes their files.
func (l *Log) dropLocked(gone []*file) {
	for _, f := range gone {
		f.gone = true
		f.pins++
		for _, c := range l.consumers {
			if c.f == f {
				c.f = nil
			}
		}
	}
}

func (l *Log) minHeadLocked() uint64 {
	head := l.next
	for _, c := range l.consumers {
		head = min(head, c.st.Head)
	}
	return head
}

// closeUnused closes sealed segments that nobody reads: only those in use are mapped.
func (l *Log) closeUnused() {
	ahead := l.besideCursors()
	l.mu.Lock()
	used := make(map[*file]bool)
	for _, c := range l.consumers {
		used[c.f] = true
		if i := l.indexLocked(c.seq); i >= 0 { // it may have been opened for a reader that is about to go on
			used[l.files[i]] = true
		}
	}
	var unused []*file
	for _, f := range l.files {
		if f.sealed && f.seg != nil && f.pins == 0 && !used[f] {
			if f.needsMendingLocked() {
				l.compaction.request()
				continue
			}
			unused = append(unused, &file{path: f.path, seg: f.seg})
			f.seg = nil
		}
	}
	l.mu.Unlock()
	for _, f := range unused {
		if err := f.seg.Close(); err != nil {
			l.log.Warn("closing a segment", "file", f.path, "error", err)
		}
	}
	for _, f := range ahead {
		l.release(f)
	}
}
