package fsck

// The segments, in the order of their items.

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal"
)

// segmentFile is one segment, or what has a segment's name.
type segmentFile struct {
	file   wal.FileInfo
	first  uint64 // as its header says, or else its name
	header segment.Header
	sealed bool
	err    error // why nothing can be read from it
	fix    fix
	rename bool // it is to be called after its first item
	raw    bool // it lost its header, and its records tell enough
	items  int  // that can be read
}

// fix is what a segment needs.
type fix uint8

const (
	nothing  fix = iota
	cutTail      // the bytes behind the last record go
	copyOver     // its valid records are copied into a new file that takes its place
	setAside     // it goes into the quarantine
	remove       // it goes, for there is nothing in it
)

// openSegments finds out where each segment belongs. Those that are called right come first: of two
// that begin with the same item they count.
func (e *examination) openSegments() {
	var misnamed []*segmentFile
	for _, f := range e.in.Files(wal.SegmentFile) {
		if s := e.openSegment(f); s.err != nil || s.first == f.Number {
			e.segments = append(e.segments, s)
		} else {
			misnamed = append(misnamed, s)
		}
	}
	for _, s := range misnamed {
		e.misnamed(s)
		e.segments = append(e.segments, s)
	}
	for _, f := range e.in.Files(wal.SpareFile) {
		e.openSpare(f)
	}
	slices.SortStableFunc(e.segments, func(a, b *segmentFile) int { return cmp.Compare(a.first, b.first) })
	e.row.Segments = len(e.segments)
}

func (e *examination) openSegment(f wal.FileInfo) *segmentFile {
	s := &segmentFile{file: f, first: f.Number}
	v, err := e.in.OpenSegment(f)
	if f.Kind == wal.SegmentFile && (errors.Is(err, segment.ErrHeaderLost) || errors.Is(err, segment.ErrNotSegment)) {
		lost := err
		if v, err = e.in.Salvage(f); errors.Is(err, segment.ErrHeaderLost) {
			err = lost
		}
		s.raw = err == nil
	}
	if err != nil {
		s.err = err
		return s
	}
	s.header, s.sealed = v.Header(), v.Sealed()
	s.first = s.header.First
	v.Close()
	return s
}

// view opens a segment that was opened before.
func (e *examination) view(s *segmentFile) (*wal.SegmentView, error) {
	if s.raw {
		return e.in.Salvage(s.file)
	}
	return e.in.OpenSegment(s.file)
}

// misnamed deals with a segment under another's name: the server would set it aside.
func (e *examination) misnamed(s *segmentFile) {
	name := wal.SegmentName(s.first)
	f := Finding{File: s.file.Name, Severity: Damage, Kind: Misnamed, What: fmt.Sprintf("begins with item %d, so it is %s; the server would set it aside", s.first, name)}
	if s.rename = !e.begun(s.first); !s.rename {
		f.What = fmt.Sprintf("begins with item %d: it is a copy or a former state of %s", s.first, name)
		s.fix, s.err = setAside, errCopy
	}
	e.t.add(f)
}

var errCopy = errors.New("another segment begins with the same item")

// begun reports whether there is a segment that begins with this item.
func (e *examination) begun(first uint64) bool {
	for _, s := range e.segments {
		if s.first == first && s.err != errCopy {
			return true
		}
	}
	return false
}

func (e *examination) exists(name string) bool {
	f, err := e.o.FS.OpenRead(e.in.Path(wal.FileInfo{Name: name}))
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// openSpare takes a spare that was started for the segment it is.
func (e *examination) openSpare(f wal.FileInfo) {
	s := e.openSegment(f)
	switch {
	case errors.Is(s.err, segment.ErrBlank):
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Spare, What: "a segment prepared ahead and never used; the server removes it"})
		return
	case s.err != nil:
		s.first = 0
	case e.begun(s.first):
		e.t.add(Finding{File: f.Name, Severity: Damage, Kind: Overlap, What: "begins with the same item as " + wal.SegmentName(s.first)})
		s.fix, s.err = setAside, errCopy
	default:
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Spare, What: fmt.Sprintf("is in use and was about to be called %s; the server does that", wal.SegmentName(s.first))})
		s.rename = true
	}
	e.segments = append(e.segments, s)
}

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
		case s.err == errCopy:
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
		e.missing(s.file.Name, e.end, s.first-1, "are in no segment: what was before this one is gone")
		e.end = s.first
	}
}

// planSealing sees to it that a repair leaves no segment unsealed before a sealed one: the server
// looks for those that are not sealed from the end backwards, as far as the first that is. One
// without an item goes: empty and sealed, it would stand in the way of the one that comes.
func (e *examination) planSealing() {
	sealed := false
	for _, s := range slices.Backward(e.segments) {
		if s.err != nil {
			continue
		}
		if sealed && !s.sealed {
			s.fix = max(s.fix, copyOver)
		}
		sealed = sealed || s.sealed || s.fix == copyOver
		if s.fix == copyOver && s.items == 0 {
			s.fix = setAside
		}
	}
}

// begin is the first item that is or should be there.
func (e *examination) begin() uint64 {
	begin := ^uint64(0)
	for _, c := range e.consumers {
		begin = min(begin, c.state.Head())
	}
	for _, s := range e.segments {
		if s.first > 0 && s.err != errCopy {
			return min(begin, s.first)
		}
	}
	return begin
}

// nextFirst is the first item of the segment behind the i-th, 0 behind the last.
func (e *examination) nextFirst(i int) uint64 {
	for _, s := range e.segments[i+1:] {
		if s.first > 0 && s.err != errCopy && !errors.Is(s.err, segment.ErrBlank) {
			return s.first
		}
	}
	return 0
}

func (e *examination) missing(file string, from, to uint64, what string) {
	if n, first, last := e.lose(from, to); n > 0 {
		e.t.add(Finding{File: file, Severity: Damage, Kind: Missing, Items: n, What: fmt.Sprintf("%s (%s) %s", items(n), numbers(first, last), what)})
	}
}

// unreadable notes a file that has a segment's name and no item that could be read.
func (e *examination) unreadable(s *segmentFile, next uint64) {
	f := Finding{File: s.file.Name, Severity: Damage, Kind: NoSegment}
	e.progress.add(s.file.Size)
	switch {
	case errors.Is(s.err, segment.ErrVersion):
		e.newer(f.File)
		return
	case errors.Is(s.err, segment.ErrHeaderLost):
		f.Kind, f.What = HeaderLost, "both copies of the header are damaged and so is the footer, without which no record verifies"
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

// pending is a range without a record of which it is not yet known what was there.
type pending struct {
	from, to uint32
	fault    bool
}

// segment goes through one segment. next is where the one behind it begins, 0 if there is none.
func (e *examination) segment(s *segmentFile, next uint64) {
	v, err := e.view(s)
	if err != nil {
		e.trouble(s.file.Name, err)
		return
	}
	defer v.Close()
	e.count(s)
	u := e.newUse(s, v)
	doubles := uint64(0)
	var hole *pending
	for step := range v.Steps() {
		switch r := &step.Record; {
		case step.Err != nil:
			hole = &pending{step.From, step.To, !errors.Is(step.Err, segment.ErrDamaged)}
			u.add(step.From, step.To, damaged)
			continue
		case r.Seq < e.end:
			if hole != nil {
				e.between(s, hole, e.end)
				hole = nil
			}
			doubles++
			u.add(step.From, step.To, dead)
			continue
		default:
			e.between(s, hole, r.Seq)
			hole = nil
			e.end = r.Seq + 1
			s.items++
			e.record(s, step, u)
			if step.Stray {
				e.stray(s, step.To-segment.Align, step.To)
			}
		}
	}
	e.between(s, hole, e.segmentEnd(v, next))
	e.found(s, v, next, u)
	if doubles > 0 {
		e.t.add(Finding{File: s.file.Name, Severity: Note, Kind: Overlap, What: fmt.Sprintf("%s in it are in a segment before it as well, which counts", items(doubles))})
	}
	e.progress.add(s.file.Size)
	e.use(u)
}

// count goes on counting what was ever in the log, from what a header says of it or, without one,
// from what came before.
func (e *examination) count(s *segmentFile) {
	if !s.raw {
		e.everItems, e.everBytes = s.header.ItemsBefore, s.header.BytesBefore
		return
	}
	s.fix = copyOver
	s.header.ItemsBefore, s.header.BytesBefore = e.everItems, e.everBytes
	e.t.add(Finding{File: s.file.Name, To: segment.HeaderSize, Severity: Damage, Kind: HeaderLost,
		What: "both copies of the header are damaged and so is the footer; the records tell what is needed of it, but the server would set the file aside"})
}

// segmentEnd is the number behind a segment's last item, damaged or not.
func (e *examination) segmentEnd(v *wal.SegmentView, next uint64) uint64 {
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
	case hole == nil:
		e.missing(s.file.Name, from, to-1, "are missing in it though nothing is damaged: is it an older copy?")
	case hole.fault:
		e.handsOff = true
		e.t.add(Finding{File: s.file.Name, From: int64(hole.from), To: int64(hole.to), Severity: Trouble, Kind: Unreadable,
			What: "the disk does not give these bytes: copy what can be read to another disk first"})
	default:
		s.fix = copyOver
		n, first, last := e.lose(from, to-1)
		f := Finding{File: s.file.Name, From: int64(hole.from), To: int64(hole.to), Severity: Damage, Kind: DamagedRange, Items: n,
			What: "no record verifies here; what stood here counts as taken"}
		if n > 0 {
			f.What = fmt.Sprintf("no record verifies here: %s (%s) lost", items(n), numbers(first, last))
		}
		e.t.add(f)
	}
}

// record counts one item.
func (e *examination) record(s *segmentFile, step *wal.Step, u *use) {
	r := &step.Record
	e.everItems++
	e.everBytes += itemSize(r)
	live := e.wanted(r.Seq)
	if r.Kind == segment.KindLarge && !e.body(s, r, live) {
		live = false
	}
	if !live {
		u.add(step.From, step.To, dead)
		return
	}
	u.add(step.From, step.To, alive)
	if e.row.Items == 0 {
		e.row.Oldest, e.row.Newest = r.Enqueued, r.Enqueued
	}
	e.row.Items++
	e.row.Oldest, e.row.Newest = min(e.row.Oldest, r.Enqueued), max(e.row.Newest, r.Enqueued)
}

// itemSize is what an item counts for: a large one its body.
func itemSize(r *segment.Record) uint64 {
	if size, _, ok := wal.LargeItem(r); ok {
		return uint64(size)
	}
	return uint64(len(r.Payload))
}

// found notes what stands around the records: headers, index, footer, tail.
func (e *examination) found(s *segmentFile, v *wal.SegmentView, next uint64, u *use) {
	for _, x := range v.Stray {
		e.stray(s, x.From, x.To)
	}
	tail := false
	for _, d := range v.Found {
		f := Finding{File: s.file.Name, From: int64(d.From), To: int64(d.To), Severity: Damage}
		switch {
		case d.Tail:
			tail = true
			u.add(d.From, d.To, damaged)
			e.tail(s, d, next)
			continue
		case d.Meta && d.To <= segment.HeaderSize:
			f.Kind, f.What = HeaderCopy, "a copy of the header is damaged; no item is lost, the other copy counts"
			if d.To-d.From == segment.HeaderSize {
				f.What = "both copies of the header are damaged; no item is lost, the footer has it once more"
			}
		case d.Meta:
			f.Kind, f.What = Index, "the index is damaged; no item is lost, but finding one takes longer"
		default:
			continue // the walk came to it
		}
		s.fix = max(s.fix, copyOver)
		e.t.add(f)
	}
	if !v.Sealed() && !tail && next > 0 {
		e.notSealed(s, next)
	}
}

const strayBytes = "bytes that should be zero are not; no item is lost, for nobody reads them"

func (e *examination) stray(s *segmentFile, from, to uint32) {
	s.fix = max(s.fix, copyOver)
	e.t.add(Finding{File: s.file.Name, From: int64(from), To: int64(to), Severity: Damage, Kind: Stray, What: strayBytes})
}

// tail judges bytes behind the last record of a segment without a sound footer.
func (e *examination) tail(s *segmentFile, d segment.Damage, next uint64) {
	f := Finding{File: s.file.Name, From: int64(d.From), To: int64(d.To), Severity: Damage}
	switch {
	case d.Meta && int64(d.To) > s.file.Size-segment.FooterSize:
		f.Kind, f.What = Footer, "the footer is damaged; no item is lost, but opening the segment means reading all of it"
		s.fix = copyOver
	case d.Meta:
		f.Severity, f.Kind, f.What = Note, Unsealed, "was being completed; the server does it again"
		s.fix = max(s.fix, copyOver)
	case d.Unfinished:
		f.Severity, f.Kind, f.What = Note, TornTail, "an append that was interrupted before its item was stored; the server cuts it off"
		s.fix = max(s.fix, cutTail)
	default:
		f.Kind, f.What = DamagedTail, "what stands behind the last record does not verify: items not yet synced at a power cut, or damaged since"
		s.fix = max(s.fix, cutTail)
	}
	if next > e.end {
		n, first, last := e.lose(e.end, next-1)
		if f.Items = n; n > 0 {
			f.What += fmt.Sprintf("; %s (%s) lost", items(n), numbers(first, last))
			f.Severity = Damage
		}
		s.fix = copyOver
		e.end = next
	}
	e.t.add(f)
}

// notSealed notes a segment without a footer that others follow: the server completes it, unless it
// did so before.
func (e *examination) notSealed(s *segmentFile, next uint64) {
	f := Finding{File: s.file.Name, Severity: Note, Kind: Unsealed, What: "is full and was about to be completed; the server does it"}
	if e.sealedBehind(next) {
		f.Severity, f.Kind, f.What = Damage, Footer, "has no footer though later segments have: it was cut or overwritten"
		s.fix = max(s.fix, copyOver)
	}
	e.t.add(f)
}

func (e *examination) sealedBehind(next uint64) bool {
	for _, s := range e.segments {
		if s.first >= next && s.sealed {
			return true
		}
	}
	return false
}
