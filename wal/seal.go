package wal

// Sealing: segments that take no more appends get their final names and are completed.

import (
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
)

// nameStarted gives segments that were started as spares their final names. Those whose files are
// used again get theirs with a sync, if they last so long.
func (l *Log) nameStarted(reused bool) error {
	l.spare.naming.Lock()
	defer l.spare.naming.Unlock()
	for {
		l.mu.Lock()
		var f *file
		for _, x := range l.files {
			if !x.named && !l.closed && (reused || !x.reused) {
				f = x
				break
			}
		}
		l.mu.Unlock()
		if f == nil {
			return nil
		}
		path := l.path(files.SegmentName(f.first))
		if err := l.fs.Rename(f.path, path); disk.IsFull(err) || disk.IsTransient(err) {
			return nil // recovery knows it by its content, and the next call tries again
		} else if err != nil {
			return err
		}
		l.mu.Lock()
		f.path, f.named, l.dirty.dir = path, true, true
		l.mu.Unlock()
	}
}

// sealRolled seals segments that take no more appends, oldest first: recovery counts on the
// unsealed ones being the last. One sync comes before all of them: recovery looks for bodies that
// are not durable, or have their uploads' names, only in unsealed segments.
func (l *Log) sealRolled() {
	for {
		due := l.rolled()
		if len(due) == 0 {
			l.noteSealing(nil) // what awaited sealing may have been taken
			return
		}
		err := l.Sync()
		for _, f := range due {
			if err == nil {
				err = l.seal(f)
			}
			l.release(f)
		}
		if err != nil { // they stay unsealed until there is space
			if disk.IsFull(err) || disk.IsTransient(err) {
				l.noteSealing(err)
			} else {
				l.fail(err)
			}
			return
		}
		l.compaction.request()
	}
}

// rolled returns, pinned, the segments that can be sealed, oldest first.
func (l *Log) rolled() (due []*file) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.usableLocked() != nil {
		return nil
	}
	if l.keptShortLocked() && !l.sealBacklogExceedsLocked(l.o.Lag/2) {
		l.watchLocked() // in case that it does not stay so
		return nil
	}
	for _, f := range l.files[:max(0, len(l.files)-1)] {
		if f.sealed && !f.awaitedLocked() {
			continue
		}
		if f.awaitedLocked() || f.seg == nil {
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
	f.noteTotalsLocked()
	l.mu.Unlock()
	l.noteSealing(nil)
	return nil
}
