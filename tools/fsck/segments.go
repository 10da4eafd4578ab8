package fsck

// The segments of a queue, and their order.

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// segmentFile is a segment, or another file under a segment's name.
type segmentFile struct {
	file    inspect.FileInfo
	first   uint64 // number of its first item, from its header or else its name; 0: not known
	name    string // the name that it should have
	header  segment.Header
	last    uint64 // number of the last item in a sealed segment
	sealed  bool
	err     error // why nothing is read from it; nil: it is read
	fix     fix
	flipped bool   // it has bits to flip back; a copy has them as they were
	rename  bool   // it is to be renamed to name
	items   int    // number of readable items
	end     uint64 // the number after the last readable item

	spent    bool // all in it is taken: its file may have been in use again
	headless bool // its header is lost, and its records hold what is needed
	cold     coldFile
}

// fix is what a segment needs.
type fix uint8

const (
	nothing  fix = iota
	cutTail      // truncate it after the last record
	rebuild      // write damaged bytes of a cold one back in place
	copyOver     // replace it by a copy of its valid records
	setAside     // move it to the quarantine
	remove       // remove it: it holds nothing
)

// openSegments finds out where each segment belongs. If two begin with the same item, one with the
// right name has precedence.
func (e *examination) openSegments() {
	var misnamed []*segmentFile
	for _, f := range e.in.Files(inspect.SegmentFile) {
		if s := e.openSegment(f); s.err != nil || s.name == f.Name {
			e.segments = append(e.segments, s)
		} else {
			misnamed = append(misnamed, s)
		}
	}
	for _, s := range misnamed {
		if e.usedAgain(s) {
			e.placeUsedAgain(s)
		} else {
			e.misnamed(s)
		}
		e.segments = append(e.segments, s)
	}
	for _, f := range e.in.Files(inspect.SpareFile) {
		e.openSpare(f)
	}
	for _, f := range e.in.Files(inspect.MovingFile) {
		e.openMoving(f)
	}
	slices.SortStableFunc(e.segments,
		func(a, b *segmentFile) int { return cmp.Compare(a.first, b.first) })
	e.supersede()
	e.row.Segments = len(e.segments)
}

func (e *examination) openSegment(f inspect.FileInfo) *segmentFile {
	s := &segmentFile{file: f, first: f.Number, name: f.Name}
	v, err := e.open(f)
	if err != nil {
		s.err = err
		return s
	}
	defer v.Close()
	s.header, s.sealed, s.headless, s.last = v.Header(), v.Sealed(), v.Headless, v.Totals().Last
	s.first, s.name = s.header.First, v.Name(f)
	s.cold.isCold = v.Cold()
	return s
}

// inQueue reports whether a segment belongs to the queue, even if it cannot be read.
func (s *segmentFile) inQueue() bool {
	return s.err != errCopy && s.err != errSuperseded && !errors.Is(s.err, inspect.ErrForeign)
}

// open opens a segment. After a read error of the disk a segment may seem to have lost its header.
// So the file must be readable, and a lost header must be found twice.
func (e *examination) open(f inspect.FileInfo) (*inspect.SegmentView, error) {
	once, err := e.in.OpenSegment(f)
	if err == nil && !once.Headless {
		return once, nil
	}
	if once != nil {
		defer once.Close()
	}
	if err := e.readable(f, 0, f.Size); err != nil {
		return nil, err
	}
	twice, again := e.in.OpenSegment(f)
	switch {
	case err != nil && again != nil:
		return nil, again
	case err == nil && again == nil && once.Totals() == twice.Totals() &&
		once.Tail() == twice.Tail():
		return twice, nil
	case again == nil:
		twice.Close()
	}
	return nil, fmt.Errorf("%s reads differently from one time to the next: %w", e.in.Path(f),
		syscall.EIO)
}

// readable returns an error if the disk cannot read a range of a file.
func (e *examination) readable(f inspect.FileInfo, from, to int64) error {
	file, err := e.o.FS.OpenRead(e.in.Path(f))
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, 64<<10)
	for at := from; at < to; at += int64(len(buf)) {
		if _, err := file.ReadAt(buf[:min(int64(len(buf)), to-at)], at); err != nil &&
			err != io.EOF {
			return err
		}
	}
	return nil
}

// misnamed reports a segment under a wrong name: the server would set it aside.
func (e *examination) misnamed(s *segmentFile) {
	f := Finding{File: s.file.Name, Severity: Damage, Kind: Misnamed,
		What: fmt.Sprintf("begins with item %d, so it is %s; the server would set it aside",
			s.first, s.name)}
	switch {
	case s.first != s.file.Number:
	case s.cold.isCold && s.file.Cold:
		f.What = fmt.Sprintf("holds items %d to %d, so it is %s; the server would delete what "+
			"follows", s.first, s.last, s.name)
	default:
		f.What = "is of another form than its name says: it is " + s.name
	}
	if s.rename = !e.firstInUse(s); !s.rename {
		f.What = fmt.Sprintf("begins with item %d: it is a copy or a former state of %s",
			s.first, s.name)
		s.fix, s.err = setAside, errCopy
	}
	e.t.add(f)
}

var errCopy = errors.New("another segment begins with the same item")

// firstInUse reports whether another segment begins with the same item. It ignores one that s, as a
// cold segment, replaces.
func (e *examination) firstInUse(s *segmentFile) bool {
	for _, other := range e.segments {
		if other.first == s.first && other.inQueue() && (other.file.Cold || !s.cold.isCold) {
			return true
		}
	}
	return false
}

// overlap sets a segment aside that begins with the same item as another.
func (e *examination) overlap(s *segmentFile) {
	e.t.damage(s.file.Name, Overlap, "begins with the same item as %s", s.name)
	s.fix, s.err = setAside, errCopy
}

func (e *examination) exists(name string) bool {
	f, err := e.o.FS.OpenRead(e.in.Path(inspect.FileInfo{Name: name}))
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// openSpare opens a spare, which may be in use as a segment already.
func (e *examination) openSpare(f inspect.FileInfo) {
	s := e.openSegment(f)
	switch {
	case errors.Is(s.err, segment.ErrBlank):
		e.t.note(f.Name, Spare, "a segment prepared ahead and never used; the server removes it")
		return
	case s.err != nil:
		s.first = 0
	case e.firstInUse(s):
		e.overlap(s)
	default:
		e.t.note(f.Name, Spare, "is in use and was about to be renamed to %s; the server does that",
			s.name)
		s.rename = true
	}
	e.segments = append(e.segments, s)
}

// openMoving opens a segment that an interrupted repair was about to rename.
func (e *examination) openMoving(f inspect.FileInfo) {
	s := e.openSegment(f)
	switch {
	case s.err != nil: // the walk judges it
	case e.firstInUse(s):
		e.overlap(s)
	default:
		e.t.damage(f.Name, Misnamed,
			"is %s: an interrupted repair was about to rename it; the server ignores it", s.name)
		s.rename = true
	}
	e.segments = append(e.segments, s)
}

// lastSealed reports that the last segment is sealed. A server does that only when it begins the
// next one.
func (e *examination) lastSealed() {
	for _, s := range slices.Backward(e.segments) {
		if s.first == 0 || errors.Is(s.err, segment.ErrBlank) || !s.inQueue() {
			continue
		}
		if s.err == nil && s.sealed {
			e.t.note(s.file.Name, NoSuccessor,
				"is completed, as by a repair or an import, and no segment follows: if one did, "+
					"it is lost with its items")
		}
		return
	}
}

// planSealing makes a repair seal all segments before a sealed one, because the server looks for
// unsealed segments from the end backwards only to the first sealed one. It sets a segment without
// items aside: sealed and empty, it would have the name of the next segment.
func (e *examination) planSealing() {
	sealed := false
	for _, s := range slices.Backward(e.segments) {
		if s.err != nil || s.spent {
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
