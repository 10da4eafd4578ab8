package fsck

// The pass over all items, in order: which are there, and which are missing.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// walk visits all items. An item that is missing between two, or before the first, is lost unless
// it was taken.
func (e *examination) walk() {
	e.end = e.firstItem()
	for i, s := range e.segments {
		next := e.nextFirst(i)
		switch {
		case errors.Is(s.err, segment.ErrBlank):
			e.t.note(s.file.Name, Spare,
				"has no header and no items: it was being made; the server removes it")
			s.fix = remove
		case errors.Is(s.err, inspect.ErrForeign):
			e.row.Dead += s.file.Size
			e.t.damage(s.file.Name, OtherLog, otherLog)
			s.fix = setAside
		case !s.inQueue():
			e.row.Dead += s.file.Size
		case s.first == 0: // a spare
			e.unreadable(s, 0)
		default:
			e.missingBefore(s)
			if s.err == nil {
				s.spent = e.spent(s, next)
				e.t.lenient = s.spent
				e.segment(s, next)
				e.t.lenient = false
				if s.spent {
					s.fix = nothing
					e.end = max(e.end, next)
				}
				continue
			}
			e.unreadable(s, next)
			e.end = max(e.end, next)
		}
	}
}

// missingBefore reports items that are missing before a segment.
func (e *examination) missingBefore(s *segmentFile) {
	if s.first > e.end {
		e.missing(s, e.end, s.first-1, "are in no segment: what was before this one is gone")
		e.end = s.first
	}
}

// firstItem returns the number of the first item that is or should be there.
func (e *examination) firstItem() uint64 {
	first := ^uint64(0)
	for _, c := range e.consumers {
		first = min(first, c.state.Head)
	}
	for _, s := range e.segments {
		if s.first > 0 && s.inQueue() {
			return min(first, s.first)
		}
	}
	return first
}

// nextFirst returns the first item of the segment after the i-th, or 0 after the last.
func (e *examination) nextFirst(i int) uint64 {
	for _, s := range e.segments[i+1:] {
		if s.first > 0 && s.inQueue() && !errors.Is(s.err, segment.ErrBlank) {
			return s.first
		}
	}
	return 0
}

// missing reports the wanted items in [from, to] as lost.
func (e *examination) missing(s *segmentFile, from, to uint64, what string) {
	if n, first, last := e.lose(from, to); n > 0 {
		e.t.add(Finding{File: s.file.Name, Severity: e.lossSeverity(s, from), Kind: Missing,
			Items: n,
			What:  fmt.Sprintf("%s (%s) %s", items(n), numbers(first, last), what)})
	}
}

// unreadable reports a file under a segment's name in which no item can be read.
func (e *examination) unreadable(s *segmentFile, next uint64) {
	f := Finding{File: s.file.Name, Severity: e.severity(s, s.first), Kind: NoSegment}
	e.progress.add(s.file.Size)
	switch {
	case errors.Is(s.err, segment.ErrVersion):
		e.otherFormat(f.File, s.err)
		return
	case errors.Is(s.err, segment.ErrHeaderLost):
		f.Kind = HeaderLost
		f.What = "both copies of the header are damaged and there is no sound footer, without " +
			"which no record verifies"
		switch {
		case s.file.Cold:
			f.What = "all three copies of the header are damaged, without which no block verifies"
		case s.file.Kind == inspect.SpareFile: // a segment is renamed before it is synced
			f.Severity = Note
		case e.takenUntil(next): // and is not synced any more when all in it is taken
			f.Severity = Note
			f.What += "; all in it is taken"
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
	case s.first == 0: // an unreadable spare: whether it was in use is not known
	case next > 0:
		n, first, last := e.lose(max(s.first, e.end), next-1)
		if f.Items = n; n > 0 {
			f.What += fmt.Sprintf(": %s (%s) lost", items(n), numbers(first, last))
		}
	default:
		f.What += ": what was in it is lost; how many items that were is not known"
		// Its numbers must not be used again.
		e.lost.Take(max(s.first, e.end), s.first+uint64(s.file.Size/segment.RecordSize(0)), 0)
	}
	e.t.add(f)
}

// pending is a range of the file without a valid record. What was in it follows from the next
// record.
type pending struct {
	from, to int64
	fault    bool // the disk cannot read it
}

// segment visits one segment. next is the first item of the next segment, or 0.
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
	e.countBefore(s)
	u := e.newUse(s, v)
	doubles := uint64(0)
	var hole *pending
	for step := range v.Steps() {
		if s.cold.isCold && step.Err == nil {
			s.cold.records++
		}
		switch r := &step.Record; {
		case step.Err != nil:
			hole = e.hole(s, v, step)
			u.add(step, damaged)
			continue
		case r.Seq < e.end:
			if hole != nil {
				e.missingUntil(s, hole, e.end)
				hole = nil
			}
			doubles++
			u.add(step, dead)
			continue
		default:
			e.missingUntil(s, hole, r.Seq)
			hole = nil
			e.end, s.end = r.Seq+1, r.Seq+1
			s.items++
			e.record(s, step, u)
			if step.Stray && s.header.Use == 0 && r.Seq >= e.takenBelow() { // else of another use
				e.stray(s, step.To-segment.Align, step.To)
			}
		}
	}
	e.missingUntil(s, hole, e.segmentEnd(v))
	e.aroundRecords(s, v, next, u)
	e.coldDamage(s, v)
	e.segmentFlips(s)
	if doubles > 0 {
		e.t.note(s.file.Name, Overlap, "%s in it are also in an earlier segment, which counts",
			items(doubles))
	}
	e.progress.add(s.file.Size)
	e.use(u)
}

// surroundings checks that the disk can read what the walk does not visit.
func (e *examination) surroundings(s *segmentFile, v *inspect.SegmentView) error {
	if v.Cold() {
		return e.scrub(s)
	}
	return errors.Join(e.readable(s.file, 0, segment.HeaderSize),
		e.readable(s.file, int64(v.Tail()), s.file.Size))
}

// hole returns the range of a step without a record.
func (e *examination) hole(s *segmentFile, v *inspect.SegmentView, step *inspect.Step) *pending {
	if v.Cold() {
		return s.cold.hole(v, step)
	}
	return &pending{int64(step.From), int64(step.To), !errors.Is(step.Err, segment.ErrDamaged)}
}

// countBefore sets the count of items ever in the log from a segment's header, or the header from
// the count if the header is lost.
func (e *examination) countBefore(s *segmentFile) {
	if !s.headless {
		e.everItems, e.everBytes = s.header.ItemsBefore, s.header.BytesBefore
		return
	}
	s.header.ItemsBefore, s.header.BytesBefore = e.everItems, e.everBytes
}

// segmentEnd returns the number after a segment's last item, damaged or not.
func (e *examination) segmentEnd(v *inspect.SegmentView) uint64 {
	if v.Sealed() {
		return max(e.end, v.Totals().Last+1)
	}
	return e.end
}

// missingUntil reports items that are missing before item to: in a damaged range or, if hole is
// nil, without visible damage.
func (e *examination) missingUntil(s *segmentFile, hole *pending, to uint64) {
	from := e.end
	e.end = max(e.end, to)
	switch {
	case hole == nil && s.cold.isCold:
		e.leftOut(s, from, to)
	case hole == nil:
		e.missing(s, from, to-1,
			"are missing in it though nothing is damaged: is it an older copy?")
	case hole.fault:
		e.noRepair = true
		e.t.add(Finding{File: s.file.Name, From: hole.from, To: hole.to, Severity: Trouble,
			Kind: Unreadable,
			What: "the disk cannot read these bytes: copy what can be read to another disk first"})
	default:
		s.fix = copyOver
		n, first, last := e.lose(from, to-1)
		f := Finding{File: s.file.Name, From: hole.from, To: hole.to,
			Severity: e.lossSeverity(s, from), Kind: DamagedRange, Items: n}
		why := "no record verifies here"
		if s.cold.isCold {
			why = "damaged beyond the parity"
		}
		if f.What = why + "; what stood here counts as taken"; n > 0 {
			f.What = fmt.Sprintf("%s: %s (%s) lost", why, items(n), numbers(first, last))
		}
		switch {
		case f.Severity == Note:
			f.What += unsyncedWhat
		case n == 0 && !s.cold.isCold: // it costs nothing, or recovery has counted what it costs
			f.Severity = Note
		}
		e.t.add(f)
	}
}

// record counts an item.
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
