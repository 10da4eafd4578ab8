package wal

// Cleanup: what the background does on a log after the fact. It seals and deletes segments, deletes
// bodies, rewrites offset files and closes segments that nobody reads.

import (
	"errors"

	"github.com/darner/darner/segment/disk"
)

// requestCleanup has the background call cleanup.
func (l *Log) requestCleanup() {
	if !l.cleaning.asked.Swap(true) {
		l.background.cleanupLane.push(l.cleanup)
	}
}

// cleanup does everything that can wait.
func (l *Log) cleanup() {
	l.cleaning.asked.Store(false)
	l.cleaning.Lock()
	defer l.cleaning.Unlock()
	if !l.beginCleanup() {
		return
	}
	if err := l.nameStarted(false); err != nil {
		l.fail(err)
	}
	l.setAside()
	l.setForeignAside()
	l.shrinkIdle()
	l.removeTaken()
	l.moveSlowUploads() // which may need the space
	l.trimReused()
	l.sealRolled()
	l.rewriteOffsets()
	l.reclaim()
	l.closeUnused()
}

// beginCleanup is false if the log is closed. Until needRewrite is called, a rewrite that is due
// requests no other cleanup. Otherwise, while syncs and rewrites fail with a transient error, the
// syncs of each cleanup would request the next one at once.
func (l *Log) beginCleanup() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleaning.rewriteAhead = !l.closed
	return !l.closed
}

func (l *Log) rewriteOffsets() {
	// Compaction needs the space, and requests another cleanup afterwards.
	lent := l.background.reserve.lent.Load()
	if !lent {
		if err := l.replaceLost(); err != nil && !disk.IsFull(err) {
			l.log.Warn("cannot make an offset file", "error", err)
		}
	}
	for _, c := range l.needRewrite(lent) {
		if err := c.rewrite(l.rewriteBound()); err != nil {
			if !disk.IsFull(err) {
				l.log.Warn("cannot rewrite an offset file", "consumer", c.name, "error", err)
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

// needRewrite returns none, and leaves the requests, if they have to wait.
func (l *Log) needRewrite(wait bool) (due []*Consumer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleaning.rewriteAhead = false
	if wait {
		return nil
	}
	for _, c := range l.consumers {
		if !c.rewriteRequested {
			continue
		}
		c.rewriteRequested = false // after a failure it is requested again
		if c.off != nil && (c.unsaved || c.off.End() >= c.rewriteAt) {
			due = append(due, c)
		}
	}
	return due
}

// removeTaken deletes segments and bodies of large items that every consumer has taken, or has
// segments used again. It syncs first what was taken, so that a segment that is missing later is
// known to be damage.
func (l *Log) removeTaken() {
	head, some := l.takenBelow()
	bodies := l.takenBodies()
	if !some && len(bodies) == 0 {
		return
	}
	l.setDeleting(true)
	defer l.setDeleting(false)
	if err := l.syncTaken(); err != nil {
		return // the files stay
	}
	files, again := l.takenFiles(head)
	for _, f := range again {
		l.reuse(f)
	}
	if len(files)+len(bodies) == 0 {
		return
	}
	l.setAside() // readers may have found damage in them meanwhile
	for _, f := range files {
		if l.isClosed() {
			break // the names may soon be another log's
		}
		if err := l.discardFile(f); err != nil && !isNotExist(err) {
			l.log.Warn("cannot delete a taken segment", "file", f.path, "error", err)
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

func (l *Log) setDeleting(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleting = is
}

// discardFile deletes a segment that is taken. An unreadable one is set aside instead, since its
// items were not delivered.
func (l *Log) discardFile(f *file) error {
	if !f.lost {
		return l.fs.Remove(f.path)
	}
	to, err := l.moveAside(f.path)
	if err == nil {
		l.log.Error("unreadable segment set aside", "file", f.path, "now", to)
	}
	return err
}

// reclaim deletes the active segment if everything is taken and the disk is full, as it may be all
// the space there is, or shrinkIdle wants it. The next item begins another segment.
func (l *Log) reclaim() {
	l.mu.Lock()
	full := l.room.diskFull
	wanted, next := (full || l.idle.reclaim) && l.allTakenLocked(), l.next
	l.room.diskFull, l.idle.reclaim = false, false
	l.mu.Unlock()
	if full {
		l.giveBackReused()
		l.background.giveBackReused()
		l.dropSpare()
	}
	if !wanted || l.Sync() != nil { // the consumers' heads keep the numbering
		return
	}
	l.mu.Lock()
	var gone []*file
	f := l.activeLocked()
	if f != nil && l.next == next && len(l.files) == 1 && f.removableLocked() {
		gone, l.files = l.files, nil
		l.dropLocked(gone)
	}
	l.mu.Unlock()
	l.setAside()
	for _, f := range gone {
		if err := l.fs.Remove(f.path); err != nil {
			l.log.Warn("cannot delete a taken segment", "file", f.path, "error", err)
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
	return l.spare.file.bytesLocked()
}

// dropSpare deletes the spare: on a full disk compaction needs its blocks.
func (l *Log) dropSpare() {
	l.mu.Lock()
	spare := l.spare.file
	if l.closed || spare != nil && len(spare.coming) > 0 {
		spare = nil
	} else {
		l.spare.file = nil
	}
	l.mu.Unlock()
	if spare != nil && spare.pooled {
		l.dropReused([]*file{spare})
		return
	}
	if spare == nil {
		return
	}
	if err := errors.Join(spare.seg.Close(), l.fs.Remove(spare.path)); err != nil {
		l.log.Warn("cannot delete a segment prepared ahead", "file", spare.path, "error", err)
	}
}

// allTakenLocked reports whether every consumer has taken everything.
func (l *Log) allTakenLocked() bool {
	return l.usableLocked() == nil && len(l.consumers) > 0 && l.minHeadLocked() == l.next
}

// takenBelow returns the number below which every consumer has taken everything, and whether a
// whole segment is below it that nothing under way needs.
func (l *Log) takenBelow() (head uint64, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.consumers) == 0 || l.failed != nil {
		return 0, false
	}
	head = l.minHeadLocked()
	return head, l.someTakenLocked(head)
}

// someTakenLocked reports whether a segment is wholly below head that nothing under way needs.
func (l *Log) someTakenLocked(head uint64) bool {
	for i := 1; i < len(l.files) && l.files[i].first <= head; i++ {
		if l.files[i-1].removableLocked() {
			return true
		}
	}
	return false
}

// takenFiles removes from the log the segments below head: those to delete, which it pins, and
// those to use again. The last segment stays: it takes appends. One that something under way needs
// stays too, and does not hold up those after it.
func (l *Log) takenFiles(head uint64) (gone, again []*file) {
	l.spare.naming.Lock() // whatever its name is, a segment keeps it
	defer l.spare.naming.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	var kept []*file
	room := l.mostReusedLocked()
	if room > 0 && l.spare.file == nil {
		room++
	}
	room -= len(l.spare.waiting)
	n := 0
	for ; n < len(l.files)-1 && l.files[n+1].first <= head; n++ {
		f := l.files[n]
		switch {
		case !f.removableLocked():
			kept = append(kept, f)
		case len(again) < room && l.reusableLocked(f) &&
			l.background.reuse.begin(l, l.o.SegmentSize):
			f.recycled = true
			again = append(again, f)
		default:
			gone = append(gone, f)
		}
	}
	l.files = append(kept, l.files[n:]...)
	l.dropLocked(gone)
	l.leaveLocked(again)
	return gone, again
}

// removableLocked reports whether nothing under way needs the segment's file.
func (f *file) removableLocked() bool { return !f.awaitedLocked() && !f.compacting }

// awaitedLocked reports whether something under way keeps the segment from being sealed: a body of
// a large item without its final name, or a payload that is coming in.
func (f *file) awaitedLocked() bool { return f.renames > 0 || len(f.coming) > 0 }

// dropLocked pins segments that were removed from the log, for whoever deletes their files.
func (l *Log) dropLocked(gone []*file) {
	for _, f := range gone {
		f.pins++
	}
	l.leaveLocked(gone)
}

// leaveLocked notes that segments are not the log's any more.
func (l *Log) leaveLocked(gone []*file) {
	for _, f := range gone {
		l.noteUnmendedLocked(f)
		f.gone = true
		for _, c := range l.consumers {
			if c.f == f {
				c.f = nil
			}
			if c.found.f == f {
				c.found = lastFound{}
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

// closeUnused closes sealed segments that nobody reads, so that only those in use are mapped.
func (l *Log) closeUnused() {
	ahead := l.besideCursors()
	l.mu.Lock()
	used := make(map[*file]bool)
	for _, c := range l.consumers {
		used[c.f], used[c.found.f] = true, true
		// It may have been opened for a reader that comes soon.
		if i := l.indexLocked(c.seq); i >= 0 {
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
			l.log.Warn("cannot close a segment", "file", f.path, "error", err)
		}
	}
	for _, f := range ahead {
		l.release(f)
	}
}
