package wal

import (
	"errors"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
)

// The background's work on one log. Two lanes of Background call prepare and tidy; a log asks for
// each at most once at a time.

func (l *Log) askSoon() {
	if !l.preparing.asked.Swap(true) {
		l.slow.soon.push(l.prepare)
	}
}

func (l *Log) askLater() {
	if !l.tidying.asked.Swap(true) {
		l.slow.later.push(l.tidy)
	}
}

// prepare gets ready what will be needed next, so that nobody waits for it: blocks ahead of the
// tail, a blank segment for the next roll, the segment a consumer comes to next.
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
	l.makeSpare(l.preparing.pace.fast, func(f *file) bool { return int64(f.seg.Tail()) >= l.o.SegmentSize/2 })
}

// makeSpare makes a spare if there is none and the active segment is such that one is wanted, for a log
// that fills fast or one that does not.
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
		if !disk.IsFull(err) && !passing(err) {
			l.log.Warn("cannot prepare the next segment", "queue", l.name(), "error", err)
		}
		return
	}
	if fast {
		l.readySpare(spare.seg)
	}
	l.mu.Lock()
	keep := !l.closed && l.spare.file == nil && l.activeLocked() == f
	if keep {
		l.spare.file = spare
		l.dirty.dir = true
	}
	l.mu.Unlock()
	if !keep {
		spare.seg.Close()
		l.fs.Remove(path)
	}
}

// openAhead opens the segment behind each consumer's, and has it read.
func (l *Log) openAhead() {
	for _, f := range l.besideCursors() {
		l.mu.Lock()
		closed, path := f.seg == nil, f.path
		l.mu.Unlock()
		if closed {
			if err := l.open(f, path); err != nil && !passing(err) {
				l.log.Warn("cannot open ahead", "file", path, "error", err)
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

// decodeAhead has the next block of cold segments ready when their readers come to it.
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

// besideCursors returns, pinned, the segments next to the ones that consumers are in.
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

// tidy does what can wait.
func (l *Log) tidy() {
	l.tidying.asked.Store(false)
	l.tidying.Lock()
	defer l.tidying.Unlock()
	if l.isClosed() {
		return
	}
	if err := l.nameStarted(); err != nil {
		l.fail(err)
	}
	l.setAside()
	l.setStrangersAside()
	l.giveBack()
	l.removeTaken()
	l.sealRolled()
	l.rewriteOffsets()
	l.reclaim()
	l.closeUnused()
}

// nameStarted gives segments that were started as spares their final names.
func (l *Log) nameStarted() error {
	l.spare.naming.Lock()
	defer l.spare.naming.Unlock()
	for {
		l.mu.Lock()
		var f *file
		for _, x := range l.files {
			if !x.named && !l.closed {
				f = x
				break
			}
		}
		l.mu.Unlock()
		if f == nil {
			return nil
		}
		path := l.path(files.SegmentName(f.first))
		if err := l.fs.Rename(f.path, path); disk.IsFull(err) {
			return nil // recovery knows it by its content; again at the next occasion
		} else if err != nil {
			return err
		}
		l.mu.Lock()
		f.path, f.named, l.dirty.dir = path, true, true
		l.mu.Unlock()
	}
}

// sealRolled completes segments that take no more appends, oldest first: those not sealed are
// always the last ones, which is what recovery counts on. One sync goes before all that are due:
// recovery looks for bodies that are not durable, or still have their upload's name, only behind
// records of unsealed segments.
func (l *Log) sealRolled() {
	for {
		due := l.rolled()
		if len(due) == 0 {
			l.sealing(nil) // what awaited it may be taken
			return
		}
		err := l.Sync()
		for _, f := range due {
			if err == nil {
				err = l.seal(f)
			}
			l.release(f)
		}
		if err != nil { // they stay as they are until there is room
			if disk.IsFull(err) || passing(err) {
				l.sealing(err)
			} else {
				l.fail(err)
			}
			return
		}
		l.compaction.ask()
	}
}

// rolled returns, pinned, the segments that can be sealed, oldest first.
func (l *Log) rolled() (due []*file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.usableLocked() != nil {
		return nil
	}
	for _, f := range l.files[:max(0, len(l.files)-1)] {
		if f.sealed && f.renames == 0 {
			continue
		}
		if f.renames > 0 || f.seg == nil {
			break
		}
		f.pins++
		due = append(due, f)
	}
	return due
}

func (l *Log) seal(f *file) error {
	if err := f.seg.Seal(); err != nil {
		return err
	}
	l.mu.Lock()
	f.sealed, f.size = true, f.seg.Size()
	f.learn()
	l.mu.Unlock()
	l.sealing(nil)
	return nil
}

func (l *Log) rewriteOffsets() {
	if l.slow.reserve.lent.Load() { // compaction needs what there is, and asks again behind it
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
		lost = lost || c.off == nil && c.behind
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
		if !c.rewriteAsked {
			continue
		}
		c.rewriteAsked = false // after a failure it is asked for again
		if c.off != nil && (c.behind || c.off.End() >= c.rewriteAt) {
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
		if err != nil && !disk.IsFull(err) && !errors.Is(err, ErrFull) && !passing(err) {
			l.log.Warn("cannot prepare the next segment", "queue", l.name(), "error", err)
		}
	}
	if !l.wantsAnotherLocked(useless) || !l.canRollLocked() {
		return
	}
	if err := l.rollLocked(); err != nil && !disk.IsFull(err) && !passing(err) {
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
				l.compaction.ask()
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
