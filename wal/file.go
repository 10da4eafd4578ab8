package wal

import (
	"errors"
	"sort"
	"time"

	"github.com/darner/darner/segment"
)

// file is one segment of a log, and while it is in use the open segment. Log.mu guards it. Whoever
// holds a pin may use seg without the lock.
type file struct {
	first     uint64 // its first sequence number
	path      string
	named     bool // it has its final name, unlike a spare that was just started
	seg       *segment.Segment
	pins      int           // users of seg without the lock: it stays open for them
	syncs     int           // those of them that sync it
	sealed    bool          // complete, trimmed and synced
	dirty     bool          // appended to since the last sync
	renames   int           // large items whose body has no final name yet; it is not sealed before
	coming    []*Upload     // payloads that are under way into it; it is not sealed before they end
	rolled    time.Duration // steady time since when it takes no more appends, if some were coming
	lost      bool          // unreadable: it is set aside, not deleted
	damaged   bool          // damage was found in it: it is not used again
	reused    bool          // its file held another segment before
	pooled    bool          // it counts in Background.reuse: it waits, or is the next one
	waits     time.Duration // steady time since when it waits
	recycled  bool          // its file holds another segment by now, or waits to
	former    *file         // what its file held before, if that is being synced
	gone      bool          // removed from the log's list; the last unpin closes it
	prepareAt uint32        // tail from which the background should prepare what is next
	extendAt  uint32        // from this tail on, prepare allocates another extent
	size      int64         // in bytes, of a sealed one

	times times // when its records expire

	// through is the first number of the last segment that a cold one replaces; of others, first.
	through uint64

	cold           bool   // in the cold form
	skipCompaction bool   // compaction failed on it
	compacting     bool   // about to be replaced: nobody else removes it
	records        uint64 // in a sealed one; 0 while not known
	recordSize     int64  // bytes that these take, uncompressed
	rebuilt        uint64 // Segment.Rebuilt when it was last mended
}

func (f *file) bytesLocked() int64 {
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

// indexLocked returns the last segment that begins at or before seq; -1 if all begin after it.
func (l *Log) indexLocked(seq uint64) int {
	return sort.Search(len(l.files), func(i int) bool { return l.files[i].first > seq }) - 1
}

// activeLocked is the segment that takes appends; nil if there is none.
func (l *Log) activeLocked() *file {
	if n := len(l.files); n > 0 && !l.files[n-1].sealed && l.files[n-1].seg != nil {
		return l.files[n-1]
	}
	return nil
}

// holdingLocked returns the segment that holds an item; nil if it was deleted.
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

// hold pins the segment that holds an item, and opens it if need be.
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

// pinAndUnlock pins a segment and opens it if need be. Log.mu is held, and released.
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

// open opens a pinned segment without the lock. If two goroutines do so, the second closes what it
// opened.
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

// setOpenLocked makes a segment the file's. Without the lock it is for a file that nobody else has.
func (f *file) setOpenLocked(seg *segment.Segment) {
	f.seg = seg
	f.noteTotalsLocked()
	if !f.times.known {
		f.setTimesLocked(seg.Totals())
	}
}

// noteTotalsLocked notes how much is in an open segment if it is sealed.
func (f *file) noteTotalsLocked() {
	if f.seg.Sealed() {
		t := f.seg.Totals()
		f.records = t.Items
		f.recordSize = min(int64(f.seg.Tail())-segment.HeaderSize, // bodies without a record count
			int64(t.Bytes)+int64(t.Items)*mostOverhead)
	}
}

// mostOverhead is the most that a record takes besides its payload.
const mostOverhead = 112

// release unpins a segment, and closes it if it is gone and this was the last pin.
func (l *Log) release(f *file) {
	if l.unpin(f) {
		l.close(f)
	}
}

// unpin is release that leaves closing to the caller, if it returns true.
func (l *Log) unpin(f *file) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.pins--
	return f.gone && f.pins == 0
}

func (l *Log) close(f *file) {
	l.mu.Lock()
	stays := f.seg == nil || f.recycled || f.leaveToSyncLocked()
	l.mu.Unlock()
	if !stays {
		if err := f.seg.Close(); err != nil {
			l.log.Warn("closing a removed segment", "file", f.path, "error", err)
		}
	}
}
