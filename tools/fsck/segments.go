package fsck

// The segments: which there are, and in which order.

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

// segmentFile is one segment, or what has a segment's name.
type segmentFile struct {
	file   inspect.FileInfo
	first  uint64 // as its header says, or else its name
	name   string // that it should have
	header segment.Header
	last   uint64 // highest number in it, of a sealed one
	sealed bool
	err    error // why nothing can be read from it, or that nothing is to be
	fix    fix
	rename bool   // it is to be called by its right name
	items  int    // that can be read
	end    uint64 // number after the last of them

	headless bool // it lost its header, and its records tell enough
	cold     coldFile
}

// fix is what a segment needs.
type fix uint8

const (
	nothing  fix = iota
	cutTail      // the bytes behind the last record go
	rebuild      // what is damaged in a cold one is written back
	copyOver     // its valid records are copied into a new file that takes its place
	setAside     // it goes into the quarantine
	remove       // it goes, for there is nothing in it
)

// openSegments finds out where each segment belongs. Those that are called right come first: of two
// that begin with the same item they count.
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
		e.misnamed(s)
		e.segments = append(e.segments, s)
	}
	for _, f := range e.in.Files(inspect.SpareFile) {
		e.openSpare(f)
	}
	for _, f := range e.in.Files(inspect.MovingFile) {
		e.openMoving(f)
	}
	slices.SortStableFunc(e.segments, func(a, b *segmentFile) int { return cmp.Compare(a.first, b.first) })
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
	s.cold.is = v.Cold()
	return s
}

// counts reports whether what a segment holds is part of the queue, as far as it can be read.
func (s *segmentFile) counts() bool {
	return s.err != errCopy && s.err != errSuperseded && !errors.Is(s.err, inspect.ErrForeign)
}

// open opens a segment. What the disk does not give reads as zeros, so that a segment seems to have
// lost its header: that is no verdict, neither when the disk gives it later. It is one when it is found twice.
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
	case err == nil && again == nil && once.Totals() == twice.Totals() && once.Tail() == twice.Tail():
		return twice, nil
	case again == nil:
		twice.Close()
	}
	return nil, fmt.Errorf("%s reads differently from one time to the next: %w", e.in.Path(f), syscall.EIO)
}

// readable reports whether the disk gives a range of a file.
func (e *examination) readable(f inspect.FileInfo, from, to int64) error {
	file, err := e.o.FS.OpenRead(e.in.Path(f))
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, 64<<10)
	for at := from; at < to; at += int64(len(buf)) {
		if _, err := file.ReadAt(buf[:min(int64(len(buf)), to-at)], at); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// misnamed deals with a segment under another's name: the server would set it aside.
func (e *examination) misnamed(s *segmentFile) {
	f := Finding{File: s.file.Name, Severity: Damage, Kind: Misnamed, What: fmt.Sprintf("begins with item %d, so it is %s; the server would set it aside", s.first, s.name)}
	switch {
	case s.first != s.file.Number:
	case s.cold.is && s.file.Cold:
		f.What = fmt.Sprintf("holds items %d to %d, so it is %s; the server would delete what follows", s.first, s.last, s.name)
	default:
		f.What = "is of another form than its name says: it is " + s.name
	}
	if s.rename = !e.begun(s); !s.rename {
		f.What = fmt.Sprintf("begins with item %d: it is a copy or a former state of %s", s.first, s.name)
		s.fix, s.err = setAside, errCopy
	}
	e.t.add(f)
}

var errCopy = errors.New("another segment begins with the same item")

// begun reports whether there is a segment that begins with the same item. One that a cold segment
// stands for is not in its way.
func (e *examination) begun(s *segmentFile) bool {
	for _, other := range e.segments {
		if other.first == s.first && other.counts() && (other.file.Cold || !s.cold.is) {
			return true
		}
	}
	return false
}

// overlap has a segment set aside that begins as another does.
func (e *examination) overlap(s *segmentFile) {
	e.t.add(Finding{File: s.file.Name, Severity: Damage, Kind: Overlap, What: "begins with the same item as " + s.name})
	s.fix, s.err = setAside, errCopy
}

func (e *examination) exists(name string) bool {
	f, err := e.o.FS.OpenRead(e.in.Path(inspect.FileInfo{Name: name}))
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// openSpare takes a spare that was started for the segment it is.
func (e *examination) openSpare(f inspect.FileInfo) {
	s := e.openSegment(f)
	switch {
	case errors.Is(s.err, segment.ErrBlank):
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Spare, What: "a segment prepared ahead and never used; the server removes it"})
		return
	case s.err != nil:
		s.first = 0
	case e.begun(s):
		e.overlap(s)
	default:
		e.t.add(Finding{File: f.Name, Severity: Note, Kind: Spare, What: fmt.Sprintf("is in use and was about to be called %s; the server does that", s.name)})
		s.rename = true
	}
	e.segments = append(e.segments, s)
}

// openMoving takes a segment that an interrupted repair was about to give its name.
func (e *examination) openMoving(f inspect.FileInfo) {
	s := e.openSegment(f)
	switch {
	case s.err != nil: // judged by the walk
	case e.begun(s):
		e.overlap(s)
	default:
		e.t.add(Finding{File: f.Name, Severity: Damage, Kind: Misnamed, What: fmt.Sprintf("is %s: a repair that was interrupted was about to call it so; the server ignores it", s.name)})
		s.rename = true
	}
	e.segments = append(e.segments, s)
}

// lastSealed notes that the last segment is completed: a server does that when the next one is begun.
func (e *examination) lastSealed() {
	for _, s := range slices.Backward(e.segments) {
		if s.first == 0 || errors.Is(s.err, segment.ErrBlank) || !s.counts() {
			continue
		}
		if s.err == nil && s.sealed {
			e.t.add(Finding{File: s.file.Name, Severity: Note, Kind: NoSuccessor, What: "is completed, as by a repair or an import, and no segment follows: if one was lost, its items are"})
		}
		return
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
