package wal

// Mending: what readers had to rebuild in a cold segment is written back.

import (
	"log/slog"

	"github.com/darner/darner/segment"
)

// requestMend has the background mend a pinned segment if something of it had to be rebuilt.
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

// needsMendingLocked reports whether something of an open segment was rebuilt since it was last
// mended.
func (f *file) needsMendingLocked() bool {
	return f.cold && f.seg != nil && f.seg.Rebuilt() != f.rebuilt
}

// mend writes back what was rebuilt in one segment. It is false if there is none.
func (k *compactor) mend() bool {
	l := k.l
	f := k.rebuilt()
	if f == nil {
		return false
	}
	defer l.release(f)
	count := f.seg.Rebuilt()
	r, err := segment.Scrub(l.fs, f.path, true, k.paced)
	logScrub(l.log, f.path, r, err)
	l.mu.Lock()
	f.rebuilt = count // after an error too: another try would not help
	l.mu.Unlock()
	return true
}

// logScrub logs what was found in a cold segment, if anything.
func logScrub(log *slog.Logger, path string, r segment.ScrubReport, err error) {
	switch {
	case err != nil:
		log.Warn("cannot examine a cold segment", "file", path, "error", err)
	case r.Lost > 0:
		log.Error("cold segment is damaged beyond its parity; its readers will lose items",
			"file", path, "damaged", len(r.Damaged), "mended", r.Mended, "lost", r.Lost)
	case len(r.Damaged) > 0:
		log.Warn("damage in a cold segment was mended from its parity; nothing is lost",
			"file", path, "damaged", len(r.Damaged))
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
