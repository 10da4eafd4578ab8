package wal

// What readers had to rebuild in a cold segment is written back.

import (
	"log/slog"

	"github.com/darner/darner/segment"
)

// requestMend has the background mend a pinned segment of which something had to be rebuilt.
func (l *Log) requestMend(f *file) {
	if !f.cold || f.seg.Rebuilt() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.needsMendingLocked() {
		l.compaction.request()
	}
}

// needsMendingLocked reports that something of an open segment was rebuilt since it was last mended.
// Log.mu is held.
func (f *file) needsMendingLocked() bool {
	return f.cold && f.seg != nil && f.seg.Rebuilt() != f.rebuilt
}

// mend writes back what was rebuilt in one segment; false when there is none.
func (k *compactor) mend() bool {
	l := k.l
	f := k.rebuilt()
	if f == nil {
		return false
	}
	defer l.release(f)
	count := f.seg.Rebuilt()
	r, err := segment.Scrub(l.fs, f.path, true, k.paced)
	logScrub(l.log, l.name(), f.path, r, err)
	l.mu.Lock()
	f.rebuilt = count // also after an error: there is nothing to be done about it by trying again
	l.mu.Unlock()
	return true
}

// logScrub reports what was found in a cold segment; of a sound one nothing.
func logScrub(log *slog.Logger, queue, path string, r segment.ScrubReport, err error) {
	switch {
	case err != nil:
		log.Warn("cold segment cannot be examined", "queue", queue, "file", path, "error", err)
	case r.Lost > 0:
		log.Error("cold segment is damaged beyond its parity: its readers will lose items", "queue", queue, "file", path, "damaged", len(r.Damaged), "mended", r.Mended, "lost", r.Lost)
	case len(r.Damaged) > 0:
		log.Warn("damage in a cold segment was mended from its parity; nothing is lost", "queue", queue, "file", path, "damaged", len(r.Damaged))
	}
}

// rebuilt returns, pinned, a segment of which something was rebuilt.
func (k *compactor) rebuilt() *file {
	l := k.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		if f.needsMendingLocked() {
			f.pins++
			return f
		}
	}
	return nil
}
