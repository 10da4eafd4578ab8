package fsck

// One pass over all items, in their order: what is there, and what is missing in between.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// walk goes through all items. Whatever is missing between two of them, or before the first, is lost
// unless it was taken.
func (e *examination) walk() {
	e.end = e.begin()
	for i, s := range e.segments {
		next := e.nextFirst(i)
		switch {
		case errors.Is(s.err, segment.ErrBlank):
			e.t.add(Finding{File: s.file.Name, Severity: Note, Kind: Spare, What: "has no header and no items: it was being made; the server removes it"})
			s.fix = remove
		case errors.Is(s.err, inspect.ErrForeign):
			e.row.Dead += s.file.Size
			e.t.add(Finding{File: s.file.Name, Severity: Damage, Kind: OtherLog, What: otherLog})
			s.fix = setAside
		case !s.counts():
			e.row.Dead += s.file.Size
		case s.first == 0: // a spare
			e.unreadable(s, 0)
		default:
			e.upTo(s)
			if s.err == nil {
				e.segment(s, next)
				continue
			}
			e.unreadable(s, next)
			e.end = max(e.end, next)
		}
	}
}

// upTo notes what is missing before a segment.
func (e *examination) upTo(s *segmentFile) {
	if s.first > e.end {
		e.missing(s, e.end, s.first-1, "are in no segment: what was before this one is gone")
		e.end = s.first
	}
}

// begin is the first item that is or should be there.
func (e *examination) begin() uint64 {
	begin := ^uint64(0)
	for _, c := range e.consumers {
		begin = min(begin, c.state.Head)
	}
	for _, s := range e.segments {
		if s.first > 0 && s.counts() {
			return min(begin, s.first)
		}
	}
	return begin
}

// nextFirst is the first item of the segment behind the i-th, 0 behind the last.
func (e *examination) nextFirst(i int) uint64 {
	for _, s := range e.segments[i+1:] {
		if s.first > 0 && s.counts() && !errors.Is(s.err, segment.ErrBlank) {
			return s.first
		}
	}
	return 0
}

func (e *examination) missing(s *segmentFile, from, to uint64, what string) {
	if n, first, last := e.lose(from, to); n > 0 {
		e.t.add(Finding{File: s.file.Name, Severity: e.severity(s, from), Kind: Missing, Items: n, What: fmt.Sprintf("%s (%s) %s", items(n), numbers(first, last), what)})
	}
}

// unreadable notes a file that has a segment's name and no item that could be read.
func (e *examination) unreadable(s *segmentFile, next uint64) {
	f := Finding{File: s.file.Name, Severity: e.severity(s, s.first), Kind: NoSegment}
	e.progress.add(s.file.Size)
	switch {
	case errors.Is(s.err, segment.ErrVersion):
		e.newer(f.File)
		return
	case errors.Is(s.err, segment.ErrHeaderLost):
		if s.file.Kind == inspect.SpareFile { // it has its own name before it is synced
			f.Severity = Note
		}
		f.Kind, f.What = HeaderLost, "both copies of the header are damaged and there is no sound footer, without which no record verifies"
		if s.file.Cold {
			f.What = "all three copies of the header are damaged, without which no block verifies"
		}
	case errors.Is(s.err, segment.ErrNotSegment):
		f.What = "is no segment"
	default:
		e.trouble(f.File, s.err)
		return
	}
	s.fix = setAside
	e.row.Dead += s.file.Size
	switch {
	case s.first == 0: // a spare that nobody can read: whether it was in use cannot be told
	case next > 0:
		n, first, last := e.lose(max(s.first, e.end), next-1)
		if f.Items = n; n > 0 {
			f.What += fmt.Sprintf(": %s (%s) lost", items(n), numbers(first, last))
		}
	default:
		f.What += ": what was in it is lost, and how much that was cannot be told"
		e.lost.Take(max(s.first, e.end), s.first+uint64(s.file.Size/segment.RecordSize(0)), 0) // its numbers are not to come again
	}
	e.t.add(f)
}

// pending is a range of the file without a record of which it is not yet known what was there.
type pending struct {
	from, to int64
	fault    bool
}

// segment goes through one segment. next is where the one behind it begins, 0 if there is none.
func (e *examination) segment(s *segmentFile, next uint64) {
	v, err := e.open(s.file)
	if err == nil {
		defer v.Close()
		err = e.surroundings(s, v)
	}
	if err != nil {
		e.trouble(s.file.Name, err)
	}
	if v == nil {
		return
	}
	e.count(s)
	u := e.newUse(s, v)
	doubles := uint64(0)
	var hole *pending
	for step := range v.Steps() {
		if s.cold.is && step.Err == nil {
			s.cold.records++
		}
		switch r := &step.Record; {
		case step.Err != nil:
			hole = e.hole(s, v, step)
			u.add(step, damaged)
			continue
		case r.Seq < e.end:
			if hole != nil {
				e.between(s, hole, e.end)
				hole = nil
			}
			doubles++
			u.add(step, dead)
			continue
		default:
			e.between(s, hole, r.Seq)
			hole = nil
			e.end, s.end = r.Seq+1, r.Seq+1
			s.items++
			e.record(s, step, u)
			if step.Stray {
				e.stray(s, step.To-segment.Align, step.To)
			}
		}
	}
	e.between(s, hole, e.segmentEnd(v, next))
	e.found(s, v, next, u)
	e.foundCold(s, v)
	if doubles > 0 {
		e.t.add(Finding{File: s.file.Name, Severity: Note, Kind: Overlap, What: fmt.Sprintf("%s in it are in a segment before it as well, which counts", items(doubles))})
	}
	e.progress.add(s.file.Size)
	e.use(u)
}

// surroundings sees to it that the disk gives what the walk does not come to.
func (e *examination) surroundings(s *segmentFile, v *inspect.SegmentView) error {
	if v.Cold() {
		return e.scrub(s)
	}
	return errors.Join(e.readable(s.file, 0, segment.HeaderSize), e.readable(s.file, int64(v.Tail()), s.file.Size))
}

// hole is a Step without a record.
func (e *examination) hole(s *segmentFile, v *inspect.SegmentView, step *inspect.Step) *pending {
	if v.Cold() {
		return s.cold.hole(v, step)
	}
	return &pending{int64(step.From), int64(step.To), !errors.Is(step.Err, segment.ErrDamaged)}
}

// count goes on counting what was ever in the log, from what a header says of it or, without one,
// from what came before.
func (e *examination) count(s *segmentFile) {
	if !s.headless {
		e.everItems, e.everBytes = s.header.ItemsBefore, s.header.BytesBefore
		return
	}
	s.header.ItemsBefore, s.header.BytesBefore = e.everItems, e.everBytes
}

// segmentEnd is the number behind a segment's last item, damaged or not.
func (e *examination) segmentEnd(v *inspect.SegmentView, next uint64) uint64 {
	if v.Sealed() {
		return max(e.end, v.Totals().Last+1)
	}
	return e.end
}

// between notes what is missing before item to, in a damaged range or, if hole is nil, for no reason
// to be seen.
func (e *examination) between(s *segmentFile, hole *pending, to uint64) {
	from := e.end
	e.end = max(e.end, to)
	switch {
	case hole == nil && s.cold.is:
		e.leftOut(s, from, to)
	case hole == nil:
		e.missing(s, from, to-1, "are missing in it though nothing is damaged: is it an older copy?")
	case hole.fault:
		e.handsOff = true
		e.t.add(Finding{File: s.file.Name, From: hole.from, To: hole.to, Severity: Trouble, Kind: Unreadable,
			What: "the disk does not give these bytes: copy what can be read to another disk first"})
	default:
		s.fix = copyOver
		n, first, last := e.lose(from, to-1)
		f := Finding{File: s.file.Name, From: hole.from, To: hole.to, Severity: e.severity(s, from), Kind: DamagedRange, Items: n}
		why := "no record verifies here"
		if s.cold.is {
			why = "damaged beyond the parity"
		}
		if f.What = why + "; what stood here counts as taken"; n > 0 {
			f.What = fmt.Sprintf("%s: %s (%s) lost", why, items(n), numbers(first, last))
		}
		switch {
		case f.Severity == Note:
			f.What += unsyncedWhat
		case n == 0 && !s.cold.is: // a power cut left it, and recovery has counted what it cost; or it costs nothing
			f.Severity = Note
		}
		e.t.add(f)
	}
}

// record counts one item.
func (e *examination) record(s *segmentFile, step *inspect.Step, u *use) {
	r := &step.Record
	e.everItems++
	e.everBytes += uint64(inspect.ItemSize(r))
	live := e.wanted(r.Seq)
	if r.Kind == segment.KindLarge && !e.body(s, r, live) {
		live = false
	}
	if !live {
		u.add(step, dead)
		return
	}
	u.add(step, alive)
	if e.row.Items == 0 {
		e.row.Oldest, e.row.Newest = r.Enqueued, r.Enqueued
	}
	e.row.Items++
	e.row.Oldest, e.row.Newest = min(e.row.Oldest, r.Enqueued), max(e.row.Newest, r.Enqueued)
}
