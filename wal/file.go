package wal

import (
	"errors"
	"sort"

	"github.com/darner/darner/segment"
)

// file is one segment of a log: its place in the order and, while it is in use, the open segment.
// Log.mu guards it; seg may be used outside the lock by whoever holds a pin.
type file struct {
	first     uint64 // first sequence number
	path      string
	named     bool // it has its final name: a spare that was started has not
	seg       *segment.Segment
	pins      int    // users of seg outside the lock; it is not closed under them
	sealed    bool   // complete, trimmed and synced
	dirty     bool   // appended to since it was last synced
	renames   int    // large items in it whose body does not have its final name yet: not to be sealed
	lost      bool   // nothing of it could be read: it is set aside, not deleted
	gone      bool   // removed from the log: the last to let go closes it
	prepareAt uint32 // tail at which the background is asked to prepare what comes next
	extendAt  uint32 // tail at which that is another extent
	size      int64  // of a sealed one

	cold           bool   // in the cold form
	through        uint64 // first number of the last segment that it stands for: its own, unless it is a cold one made of several
	skipCompaction bool   // compaction failed on it and leaves it alone
	compacting     bool   // about to be replaced: nobody else takes it out of the log
	records        uint64 // in it, and the bytes they take in a segment: of a sealed one, 0 while they are not known
	recordSize     int64
	rebuilt        uint64 // damage rebuilt by readers that the background knows of
}

func (f *file) bytes() int64 {
	if f.seg != nil {
		return f.seg.Size()
	}
	return f.size
}

// findLocked returns the segment whose first sequence number is first.
func (l *Log) findLocked(first uint64) *file {
	if n := len(l.files); n > 0 && l.files[n-1].first == first {
		return l.files[n-1]
	}
	if i := l.indexLocked(first); i >= 0 && l.files[i].first == first {
		return l.files[i]
	}
	return nil
}

// indexLocked returns the last segment that begins at or before seq, -1 when all begin behind it.
func (l *Log) indexLocked(seq uint64) int {
	return sort.Search(len(l.files), func(i int) bool { return l.files[i].first > seq }) - 1
}

// activeLocked is the segment that takes appends, nil when there is none.
func (l *Log) activeLocked() *file {
	if n := len(l.files); n > 0 && !l.files[n-1].sealed && l.files[n-1].seg != nil {
		return l.files[n-1]
	}
	return nil
}

// holdingLocked returns the segment that holds an item, nil when it was deleted.
func (l *Log) holdingLocked(p Position) *file {
	if n := len(l.files); n > 0 && l.files[n-1].first == p.segment {
		return l.files[n-1]
	}
	i := l.indexLocked(p.Seq)
	if i < 0 || p.segment < l.files[i].first || p.segment > l.files[i].through {
		return nil
	}
	return l.files[i]
}

// hold pins the segment that holds an item and sees to it that it is open.
func (l *Log) hold(p Position) (*file, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	f := l.holdingLocked(p)
	if f == nil {
		l.mu.Unlock()
		return nil, ErrGone
	}
	return l.pinAndUnlock(f)
}

// pinAndUnlock pins a segment and opens it if need be. Log.mu is held, and given up.
func (l *Log) pinAndUnlock(f *file) (*file, error) {
	f.pins++
	isOpen, path := f.seg != nil, f.path
	l.mu.Unlock()
	if isOpen {
		return f, nil
	}
	if err := l.open(f, path); err != nil {
		l.release(f)
		return nil, err
	}
	return f, nil
}

// open opens a pinned segment outside the lock; when two do so, the second finds it done.
func (l *Log) open(f *file, path string) error {
	seg, found, err := l.openOwn(path, segment.OpenOptions{First: f.first})
	if err != nil {
		if errors.Is(err, segment.ErrForeign) {
			l.mu.Lock()
			l.dropForeignLocked(f)
			l.mu.Unlock()
		}
		return err
	}
	l.mu.Lock()
	if f.seg == nil {
		f.setOpenLocked(seg)
		seg = nil
		l.noteDamageLocked(f, found)
	}
	l.mu.Unlock()
	if seg != nil {
		return seg.Close()
	}
	return nil
}

// setOpenLocked makes a segment the file's. Log.mu is held.
func (f *file) setOpenLocked(seg *segment.Segment) {
	f.seg = seg
	f.noteTotalsLocked()
}

// noteTotalsLocked notes how much is in a segment that is open and sealed.
func (f *file) noteTotalsLocked() {
	if f.seg.Sealed() {
		f.records, f.recordSize = f.seg.Totals().Items, int64(f.seg.Tail())-segment.HeaderSize
	}
}

// release lets go of a pinned segment.
func (l *Log) release(f *file) {
	if l.unpin(f) {
		l.close(f)
	}
}

// unpin is release that leaves it to the caller to close a segment that is gone: then it is true.
func (l *Log) unpin(f *file) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.pins--
	return f.gone && f.pins == 0
}

func (l *Log) close(f *file) {
	if f.seg != nil {
		if err := f.seg.Close(); err != nil {
			l.log.Warn("closing a removed segment", "file", f.path, "error", err)
		}
	}
}
