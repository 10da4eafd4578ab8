package wal

// Using segments again. A segment that every consumer has taken becomes the next one: its file
// keeps its disk blocks, and its pages stay in memory. So a queue that is kept short writes the
// same few files for ever. What such files take counts as any disk space does, and is the first to
// go.
//
// Before a file is started again, the offset files say on stable storage that all in it is taken.
// Nothing else is synced. The file is named like a spare meanwhile, as one is that was just
// started. What a crash leaves under which name is for recovery to find out: see package settle.

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

const (
	// reuseAhead is how long the segments that wait should last: taken segments come in bursts, as
	// the disk is slow at times.
	reuseAhead = time.Second

	// mostReused bounds how many segments of one log wait, besides the one that is next.
	mostReused = 16

	// coolAfter is how long a segment waits before its pages may have left memory.
	coolAfter = 10 * time.Second
)

// reuseBound is how many bytes of segments wait in all logs of a Background together: they are
// mapped.
func reuseBound(addresses int64) int64 { return min(256<<20, addresses/48) }

// rolls is how fast a log fills segments. Log.mu guards it.
type rolls struct {
	some   bool          // there was one
	at     time.Duration // steady time of the latest
	gap    time.Duration // between the latest two; 0: there were not so many
	since  time.Duration // when the period of reuseAhead began that the latest is in
	count  int           // in that period
	before int           // in the period before
}

func (r *rolls) note(now time.Duration) {
	if r.some {
		r.gap = max(now-r.at, 1)
	}
	if now-r.since >= reuseAhead {
		r.before = r.recent(now)
		r.since, r.count = now, 0
	}
	r.count++
	r.some, r.at = true, now
}

// recent is how many there were in the latest reuseAhead, or a little more.
func (r *rolls) recent(now time.Duration) int {
	switch age := now - r.since; {
	case age >= 2*reuseAhead:
		return 0
	case age >= reuseAhead:
		return r.count
	}
	return max(r.count, r.before)
}

// fillsFastLocked reports whether segments fill so fast that using them again pays.
func (l *Log) fillsFastLocked() bool {
	slow := max(time.Second, time.Duration(l.o.SegmentSize*int64(time.Second)/fastRate))
	gap := max(l.rolls.gap, l.steady()-l.rolls.at)
	return l.rolls.gap > 0 && gap < slow
}

// mostReusedLocked is how many segments should wait, besides the next one.
func (l *Log) mostReusedLocked() int {
	if !l.fillsFastLocked() || l.room.diskFull || l.usableLocked() != nil {
		return 0
	}
	return min(1+l.rolls.recent(l.steady()), mostReused)
}

// keptShortLocked reports whether segments fill fast and are taken as fast: those that were filled
// last are about to be taken as a whole. They are not sealed before then.
func (l *Log) keptShortLocked() bool {
	n := len(l.files)
	if !l.fillsFastLocked() || n < 2 || len(l.consumers) == 0 {
		return false
	}
	for _, c := range l.consumers {
		items, bytes := c.pending()
		if c.st.Head < l.files[max(n-3, 0)].first || liveBytes(items, bytes) > l.o.SegmentSize {
			return false
		}
	}
	return true
}

// reusableLocked reports whether a segment that is taken can be used again.
func (l *Log) reusableLocked(f *file) bool {
	return f.seg != nil && !f.sealed && !f.lost && !f.damaged && !f.awaitedLocked() &&
		f.pins == f.syncs && // nobody reads it
		f.seg.Header().Capacity == l.o.SegmentSize&^7 &&
		int64(f.seg.Tail()) > l.o.SegmentSize/2
}

// leaveToSyncLocked has a sync that is under way close the file, if there is one that began when
// the file held another segment.
func (f *file) leaveToSyncLocked() bool {
	if f.former == nil || f.former.pins == 0 {
		return false
	}
	f.former.recycled = false
	return true
}

// syncingLocked returns the segment that was in the file when a sync began that is under way.
func (f *file) syncingLocked() *file {
	switch {
	case f.pins > 0:
		return f
	case f.former != nil && f.former.pins > 0:
		return f.former
	}
	return nil
}

// reuse makes a taken segment that was removed from the log one that waits.
func (l *Log) reuse(f *file) {
	again := &file{path: f.path, seg: f.seg, reused: true, pooled: true}
	l.mu.Lock()
	again.former = f.syncingLocked()
	f.former = nil
	l.mu.Unlock()
	if err := l.recycle(again, f.named); err != nil {
		if !disk.IsFull(err) && !disk.IsTransient(err) && !errors.Is(err, ErrFull) {
			l.log.Warn("cannot use a segment again", "file", f.path, "error", err)
		}
		l.dropReused([]*file{again})
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awaitReuseLocked(again)
}

// awaitReuseLocked has a blank segment that counts in Background.reuse be the next one or wait. One
// that held nothing yet is the last to be used.
func (l *Log) awaitReuseLocked(f *file) {
	f.waits = l.steady()
	switch {
	case l.spare.file == nil:
		l.spare.file = f
	case f.reused:
		l.spare.waiting = append(l.spare.waiting, f)
	default:
		l.spare.waiting = slices.Insert(l.spare.waiting, 0, f)
	}
	l.watchLocked()
}

// recycle makes the segment blank, and gives it the name of a spare if it has one of its own.
func (l *Log) recycle(f *file, named bool) error {
	if err := l.admit(l.o.SegmentSize&^7 - f.seg.Size()); err != nil {
		return err
	}
	if named {
		l.mu.Lock()
		l.spare.made++
		path := l.path(files.SpareName(l.spare.made))
		l.mu.Unlock()
		if err := l.fs.Rename(f.path, path); err != nil {
			return err
		}
		f.path = path
	}
	return f.seg.Recycle(f.path)
}

// nextSpareLocked takes the segment for this roll, and has one that waits be the next. It is the
// one that came last: its pages are those that the processor's caches are likely to hold, and the
// others are not written meanwhile.
func (l *Log) nextSpareLocked() *file {
	f := l.spare.file
	l.spare.file = nil
	if n := len(l.spare.waiting); n > 0 {
		l.spare.file, l.spare.waiting[n-1] = l.spare.waiting[n-1], nil
		l.spare.waiting = l.spare.waiting[:n-1]
		if l.steady()-l.spare.file.waits >= coolAfter {
			l.spare.file.seg.Cool()
		}
	}
	if f.pooled {
		f.pooled = false
		l.background.reuse.end(l, l.o.SegmentSize)
	}
	if f.reused {
		l.stats.reused.Add(1)
	}
	return f
}

// trimReused deletes the segments that wait beyond what the log needs at its pace.
func (l *Log) trimReused() {
	l.mu.Lock()
	var gone []*file
	if !l.closed {
		gone = l.takeReusedLocked(l.mostReusedLocked())
	}
	l.mu.Unlock()
	l.dropReused(gone)
}

// takeReusedLocked removes all but the last so many segments that wait. If none are to stay, the
// next one goes as well. Those that uploads are in stay, unless the log is closed: then it is for
// closeFiles alone.
func (l *Log) takeReusedLocked(most int) (gone []*file) {
	none := most == 0
	left := len(l.spare.waiting)
	l.spare.waiting = slices.DeleteFunc(l.spare.waiting, func(f *file) bool {
		left--
		if left < most || len(f.coming) > 0 && !l.closed {
			return false
		}
		gone = append(gone, f)
		return true
	})
	if f := l.spare.file; none && f != nil && f.pooled && (len(f.coming) == 0 || l.closed) {
		gone = append(gone, f)
		l.spare.file = nil
	}
	return gone
}

// dropReused deletes segments that waited.
func (l *Log) dropReused(gone []*file) {
	for _, f := range gone {
		l.background.reuse.end(l, l.o.SegmentSize)
		l.close(f)
		if err := l.fs.Remove(f.path); err != nil {
			l.log.Warn("cannot delete a segment that was to be used again",
				"file", f.path, "error", err)
		}
	}
}

// giveBackReused deletes all segments that wait, so that their space can be used. It reports
// whether there were any. Log.cleaning is held.
func (l *Log) giveBackReused() bool {
	l.mu.Lock()
	var gone []*file
	if !l.closed {
		gone = l.takeReusedLocked(0)
	}
	l.mu.Unlock()
	l.dropReused(gone)
	return len(gone) > 0
}

// syncTaken returns when it is on stable storage what is taken. Items need not be: if their files
// are lost, the log goes on after what is taken.
func (l *Log) syncTaken() error {
	done, err := l.syncOffsets()
	if done || err != nil {
		return err
	}
	return l.Sync()
}

// syncOffsets is syncTaken, unless the offset files lack something.
func (l *Log) syncOffsets() (done bool, err error) {
	l.commit.replacing.Lock()
	defer l.commit.replacing.Unlock()
	offsets, names, ok := l.takenOffsets()
	if !ok {
		return false, nil
	}
	for _, o := range offsets {
		if err := o.Sync(); err != nil {
			return false, l.fail(err)
		}
	}
	if names {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		return false, l.fail(err)
	}
	return true, nil
}

// takenOffsets returns the offset files, with all that is taken noted in them, and whether the name
// of one is new. ok is false if they lack something.
func (l *Log) takenOffsets() (offsets []*offset.File, names, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.usableLocked() != nil {
		return nil, false, false
	}
	for _, c := range l.consumers {
		if c.off == nil || c.unsaved || c.off.Fault != nil ||
			c.off.Path != l.path(files.OffsetName(c.name)) {
			return nil, false, false
		}
		offsets = append(offsets, c.off)
	}
	for _, c := range l.consumers {
		if c.dirty {
			c.checkpoint()
		}
		if c.off.Fault != nil {
			return nil, false, false
		}
	}
	return offsets, l.dirty.names || l.dirty.naming, true
}

// reuse is the segments that wait in all logs of a Background. It is a leaf.
type reuse struct {
	mu    sync.Mutex
	most  int64 // bytes
	bytes int64
	logs  map[*Log]int64 // that have some
}

// KeepForReuse bounds the bytes of segments that wait in all logs together to be used again; 0
// means that none do. The bound is never over 256 MiB, or less where addresses are few.
func (b *Background) KeepForReuse(bytes int64) {
	b.reuse.mu.Lock()
	defer b.reuse.mu.Unlock()
	b.reuse.most = min(bytes, reuseBound(disk.MostMapped()))
}

// begin reports whether a log may keep so many bytes more: at most twice as many as are left.
func (r *reuse) begin(l *Log, bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left := r.most - r.bytes; left < bytes || r.logs[l]+bytes > 2*left {
		return false
	}
	r.bytes += bytes
	if r.logs == nil {
		r.logs = make(map[*Log]int64)
	}
	r.logs[l] += bytes
	return true
}

func (r *reuse) end(l *Log, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes -= bytes
	if r.logs[l] -= bytes; r.logs[l] == 0 {
		delete(r.logs, l)
	}
}

func (r *reuse) having() []*Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.logs))
}

// giveBackReused deletes the segments that wait, of all logs that are not being cleaned up just
// now. It reports whether there were any.
func (b *Background) giveBackReused() (some bool) {
	for _, l := range b.reuse.having() {
		if !l.cleaning.TryLock() { // waiting for one lock while holding others could deadlock
			continue
		}
		some = l.giveBackReused() || some
		l.cleaning.Unlock()
	}
	return some
}
