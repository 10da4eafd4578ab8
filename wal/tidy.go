package wal

import (
	"github.com/darner/darner/segment/disk"
)

// The background's work on one log. Two lanes of Background call prepare and tidy; a log asks for
// each at most once at a time.

func (l *Log) askSoon() {
	if !l.soonAsked.Swap(true) {
		l.slow.soon.push(l.prepare)
	}
}

func (l *Log) askLater() {
	if !l.laterAsked.Swap(true) {
		l.slow.later.push(l.tidy)
	}
}

// prepare gets ready what will be needed next, so that nobody waits for it: blocks ahead of the
// tail, a blank segment for the next roll, the segment a consumer comes to next.
func (l *Log) prepare() {
	l.soonAsked.Store(false)
	l.preparing.Lock()
	defer l.preparing.Unlock()
	l.extendActive()
	l.prepareSpare()
	l.openAhead()
}

func (l *Log) extendActive() {
	l.mu.Lock()
	f := l.active()
	if f == nil || l.closed {
		l.mu.Unlock()
		return
	}
	f.pins++
	l.mu.Unlock()
	err := f.seg.Extend(f.seg.Room() + 1) // one step more than there is
	l.release(f)
	if err != nil && !disk.IsFull(err) {
		l.log.Warn("cannot allocate ahead", "file", f.path, "error", err)
	}
	l.mu.Lock()
	if f.seg != nil {
		f.prepareAt = prepareAt(f.seg)
	}
	l.mu.Unlock()
}

func (l *Log) prepareSpare() {
	l.mu.Lock()
	f := l.active()
	wanted := !l.closed && f != nil && l.spare == nil && int64(f.seg.Tail()) >= l.o.SegmentSize/2
	l.spares++
	path := l.path(numbered(l.spares, spareSuffix))
	l.mu.Unlock()
	if !wanted {
		return
	}
	spare, err := l.create(path)
	if err != nil {
		if !disk.IsFull(err) {
			l.log.Warn("cannot prepare the next segment", "queue", l.name(), "error", err)
		}
		return
	}
	l.mu.Lock()
	keep := !l.closed && l.spare == nil
	if keep {
		l.spare = spare
		l.dirDirty = true
	}
	l.mu.Unlock()
	if !keep {
		spare.seg.Close()
		l.fs.Remove(path)
	}
}

// openAhead opens the segment behind each consumer's.
func (l *Log) openAhead() {
	for _, f := range l.besideCursors() {
		if f.seg == nil {
			if err := l.open(f, f.path); err != nil {
				l.log.Warn("cannot open ahead", "file", f.path, "error", err)
			}
		}
		l.release(f)
	}
}

// besideCursors returns, pinned, the segments next to the ones that consumers are in.
func (l *Log) besideCursors() (ahead []*file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		if i := l.index(c.seq) + 1; i > 0 && i < len(l.files) {
			l.files[i].pins++
			ahead = append(ahead, l.files[i])
		}
	}
	return ahead
}

// tidy does what can wait.
func (l *Log) tidy() {
	l.laterAsked.Store(false)
	l.tidying.Lock()
	defer l.tidying.Unlock()
	if l.isClosed() {
		return
	}
	l.setAside()
	if err := l.nameStarted(); err != nil {
		l.fail(err)
	}
	l.sealRolled()
	l.rewriteOffsets()
	l.removeTaken()
	l.closeUnused()
}

// nameStarted gives segments that were started as spares their final names.
func (l *Log) nameStarted() error {
	l.naming.Lock()
	defer l.naming.Unlock()
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
		path := l.path(numbered(f.first, segmentSuffix))
		if err := l.fs.Rename(f.path, path); disk.IsFull(err) {
			return nil // recovery knows it by its content; again at the next occasion
		} else if err != nil {
			return err
		}
		l.mu.Lock()
		f.path, f.named, l.dirDirty = path, true, true
		l.mu.Unlock()
	}
}

// sealRolled completes segments that take no more appends, oldest first: those not sealed are
// always the last ones, which is what recovery counts on.
func (l *Log) sealRolled() {
	for {
		f := l.firstRolled()
		if f == nil {
			return
		}
		err := f.seal(l)
		l.release(f)
		if err == nil {
			continue
		}
		if !disk.IsFull(err) {
			l.fail(err)
		}
		return // a full disk: it stays as it is until there is room
	}
}

func (l *Log) firstRolled() *file {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range l.files {
		if f.sealed && f.renames == 0 {
			continue
		}
		if i == len(l.files)-1 || f.renames > 0 || f.seg == nil || l.usable() != nil {
			return nil
		}
		f.pins++
		return f
	}
	return nil
}

// seal syncs the directory first: recovery looks for bodies that still have their upload's name
// only behind records of unsealed segments.
func (f *file) seal(l *Log) error {
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	if err := f.seg.Seal(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.sealed, f.size = true, f.seg.Size()
	return nil
}

func (l *Log) rewriteOffsets() {
	for _, c := range l.needRewrite() {
		if err := c.rewrite(); err != nil {
			l.mu.Lock()
			c.rewriteAt = l.rewriteBound() // again at the next occasion
			l.mu.Unlock()
			if !disk.IsFull(err) {
				l.log.Warn("cannot rewrite an offset file", "queue", l.name(), "consumer", c.name, "error", err)
			}
		}
	}
}

func (l *Log) needRewrite() (due []*Consumer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		if c.off != nil && (c.behind || c.rewriteAt == 1<<30) {
			due = append(due, c)
		}
	}
	return due
}

// removeTaken deletes what every consumer has taken: segments, and bodies of large items. What was
// taken is made durable first, so that a segment that is missing later is known to be damage.
func (l *Log) removeTaken() {
	files, bodies := l.takenFiles(), l.takenBodies()
	if len(files) == 0 && len(bodies) == 0 {
		return
	}
	if err := l.Sync(); err != nil {
		return // said by fail; the files stay
	}
	for _, f := range files {
		if l.isClosed() {
			break // the names may be another log's soon
		}
		if err := l.fs.Remove(f.path); err != nil && !isNotExist(err) {
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
	l.dirDirty = true
	l.touch()
	l.mu.Unlock()
	for _, f := range files {
		l.release(f)
	}
}

// shrink begins a new segment when all is taken, so that the old one can go and a log that is
// closed empty keeps no more than a block.
func (l *Log) shrink() {
	const worthwhile = 4 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.active()
	if l.usable() != nil || len(l.consumers) == 0 || f == nil || f.seg.Tail() < worthwhile || l.minHead() < l.next {
		return
	}
	if err := l.roll(); err != nil && !disk.IsFull(err) {
		l.log.Warn("cannot give an empty queue's space back", "queue", l.name(), "error", err)
	}
}

// takenFiles takes the segments below every consumer's head out of the log, pinned. The last one
// stays: it takes appends.
func (l *Log) takenFiles() (gone []*file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.consumers) == 0 || l.failed != nil {
		return nil
	}
	head := l.minHead()
	n := 0
	for n < len(l.files)-1 && l.files[n+1].first <= head && l.files[n].named && l.files[n].renames == 0 {
		n++
	}
	gone = append(gone, l.files[:n]...)
	l.files = append([]*file(nil), l.files[n:]...)
	for _, f := range gone {
		f.gone = true
		f.pins++
		for _, c := range l.consumers {
			if c.f == f {
				c.f = nil
			}
		}
	}
	return gone
}

func (l *Log) minHead() uint64 {
	head := l.next
	for _, c := range l.consumers {
		head = min(head, c.st.head)
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
	}
	var unused []*file
	for _, f := range l.files {
		if f.sealed && f.seg != nil && f.pins == 0 && !used[f] {
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
