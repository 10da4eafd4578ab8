package wal

// Mending: what readers had to mend or rebuild in a segment is written back, and so are flipped
// bits in the bodies of large items. A header that was lost is written when the log is opened.

import (
	"log/slog"
	"slices"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/settle"
)

// requestMend has the background mend a pinned segment if something of it had to be mended.
func (l *Log) requestMend(f *file) {
	if f.seg.Rebuilt() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.needsMendingLocked() {
		l.compaction.request()
	}
}

// needsMendingLocked reports whether reading an open segment met damage since the file was last
// mended.
func (f *file) needsMendingLocked() bool {
	return f.seg != nil && f.seg.Rebuilt() != f.rebuilt
}

// noteUnmendedLocked counts flipped bits that readers met in a segment that is not cold, and that
// will not be written back: its file goes.
func (l *Log) noteUnmendedLocked(f *file) {
	if f.seg == nil || f.cold || f.seg.Rebuilt() <= f.rebuilt {
		return
	}
	n := f.seg.Rebuilt() - f.rebuilt
	f.rebuilt = f.seg.Rebuilt()
	l.noteMended(n)
	l.tellDamage(slog.LevelWarn, "flipped bits in a segment were mended as it was read; "+
		"nothing is lost", "file", f.path, "flipped", n)
}

// mend writes back what readers had to mend in one segment. It is false if there is none.
func (k *compactor) mend() bool {
	l := k.l
	f := k.rebuilt()
	if f == nil {
		return false
	}
	defer l.release(f)
	count := f.seg.Rebuilt()
	l.mu.Lock()
	path := f.path
	l.mu.Unlock()
	o := segment.HotOptions{Mend: true, Pace: k.paced}
	r, err := scrubSegment(l.fs, path, f.cold, f.first, o)
	l.noteMended(uint64(r.Flipped))
	logScrub(l.log, path, r, err)
	if !f.cold { // what readers met meanwhile is counted
		count = f.seg.Rebuilt()
	}
	l.mu.Lock()
	f.rebuilt = count // after an error too: another try would not help
	l.mu.Unlock()
	return true
}

// scrubSegment verifies a segment and mends it in its file. Of o, a cold one uses all but
// SealedOnly.
func scrubSegment(
	fsys disk.FS, path string, cold bool, first uint64, o segment.HotOptions,
) (segment.ScrubReport, error) {
	if cold {
		return segment.Scrub(fsys, path, o.Mend, o.Pace)
	}
	return segment.ScrubHot(fsys, path, first, o)
}

// logScrub logs what was found in a segment, if anything.
func logScrub(log *slog.Logger, path string, r segment.ScrubReport, err error) {
	switch {
	case err != nil:
		log.Warn("cannot examine a segment", "file", path, "error", err)
	case r.Lost > 0:
		log.Error("segment is damaged beyond what can be mended; its readers will lose items",
			"file", path, "damaged", len(r.Damaged), "mended", r.Mended, "lost", r.Lost)
	case len(r.Damaged) > 0:
		log.Warn("damage in a segment was mended; nothing is lost", "file", path,
			"from", r.Damaged[0].From, "damaged", len(r.Damaged), "flipped", r.Flipped)
	}
}

// rebuilt returns, pinned, a segment that needs mending.
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

// flippedBody is what readers found in the body of a large item. Log.mu guards it.
type flippedBody struct {
	flips   []body.Flip
	written int // how many of them were written back, or could not be
}

// noteFlips counts flipped bits that a reader found in a body, each once, and has the background
// mend them.
func (l *Log) noteFlips(seq uint64, flips []body.Flip) {
	if len(flips) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	u := &l.uploads
	if u.flipped == nil {
		u.flipped = make(map[uint64]*flippedBody)
	}
	f := u.flipped[seq]
	if f == nil {
		f = new(flippedBody)
		u.flipped[seq] = f
	}
	for _, flip := range flips {
		if slices.Contains(f.flips, flip) {
			continue
		}
		f.flips = append(f.flips, flip)
		l.noteMended(1)
		l.tellDamage(slog.LevelWarn, "flipped bit in the body of a large item is mended; "+
			"nothing is lost", "file", l.path(files.BodyName(seq)), "byte", flip.At)
	}
	if f.written < len(f.flips) {
		l.compaction.request()
	}
}

// mendBody writes back the flipped bits that were found in one body. It is false if there are none.
func (k *compactor) mendBody() bool {
	l := k.l
	seq, flips := k.flipped()
	if len(flips) == 0 {
		return false
	}
	path := l.path(files.BodyName(seq))
	if err := body.Mend(l.fs, path, flips); err != nil && !isNotExist(err) {
		l.log.Warn("cannot mend the body of a large item on the disk", "file", path, "error", err)
	}
	return true
}

// flipped returns flipped bits of one body that are not written back yet, and counts them as
// written: after an error another try would not help.
func (k *compactor) flipped() (seq uint64, flips []body.Flip) {
	l := k.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq, f := range l.uploads.flipped {
		if flips = f.flips[f.written:]; len(flips) > 0 {
			f.written = len(f.flips)
			return seq, slices.Clone(flips)
		}
	}
	return 0, nil
}

// restoreHeader gives a segment the header that it lost, if its records and its name tell without
// doubt what it said. Later its name may not be enough. It returns what was lost; nil: it did
// nothing.
func (l *Log) restoreHeader(f *file, s settle.Settled) (lost []segment.Damage) {
	o := segment.OpenOptions{First: settle.First(f.first, s.Durable)}
	seg, found, err := l.openOwn(f.path, o)
	if err != nil {
		return nil
	}
	h, sure := seg.Header(), seg.HeaderIsSure()
	if err := seg.Close(); err != nil || !sure {
		return nil
	}
	h.Log, h.Capacity = l.id, max(h.Capacity, l.o.SegmentSize&^7)
	was, err := segment.Rehead(l.fs, f.path, h)
	if err != nil {
		l.log.Warn("a segment stays without a header", "file", f.path, "error", err)
		return nil
	}
	l.log.Warn("a segment lost its header, which was made again from its records and its name",
		"file", f.path)
	for _, d := range found {
		if d.Meta && !d.Tail {
			d.Bytes = was
			lost = append(lost, d)
		}
	}
	return lost
}

// bytesFrom is how many bytes the items of a segment have from a number on.
func bytesFrom(seg *segment.Segment, seq uint64) (n uint64) {
	eachRecord(seg, func(r segment.Record) {
		if r.Seq >= seq {
			n += uint64(body.ItemSize(&r))
		}
	})
	return n
}
