package fsck

// Segments that a cold one replaces, and that were not deleted because of a crash.

import (
	"errors"
	"iter"
	"sort"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// errSuperseded means that a cold segment replaces this one.
var errSuperseded = errors.New("a cold segment replaces it")

// supersede finds the segments that a cold one replaces. The segments are in order.
func (e *examination) supersede() {
	for _, s := range e.segments {
		if !s.cold.isCold || s.err != nil {
			continue
		}
		for old := range e.claimedBy(s) {
			if old.first > s.last && old.header.First > 0 && old.last >= old.first {
				e.claimsTooMuch(s, old)
				break // and all after it
			}
		}
		for old := range e.claimedBy(s) {
			old.err, old.cold.by = errSuperseded, s
			e.t.note(old.file.Name, Superseded,
				"was written anew as %s and was about to be deleted; the server does that", s.name)
		}
	}
}

// claimedBy returns the segments that a cold one replaces according to its name.
func (e *examination) claimedBy(s *segmentFile) iter.Seq[*segmentFile] {
	claim := inspect.Classify(s.name)
	from := sort.Search(len(e.segments),
		func(i int) bool { return e.segments[i].first >= claim.Number })
	return func(yield func(*segmentFile) bool) {
		for _, old := range e.segments[from:] {
			if old.first > claim.Through {
				return
			}
			if old != s && old.replaceable() && claim.Supersedes(inspect.Classify(old.name)) &&
				!yield(old) {
				return
			}
		}
	}
}

// claimsTooMuch handles a cold segment whose name says that it also replaces the one that follows
// it. The server would believe that.
func (e *examination) claimsTooMuch(s, old *segmentFile) {
	s.rename = true
	s.name = inspect.ColdName(s.first, max(s.first, old.first-1))
	e.t.damage(s.file.Name, Misnamed,
		"holds items up to %d, so it is %s; the server would delete %s, which follows",
		s.last, s.name, old.file.Name)
}

// replaceable reports whether enough is known about a segment to do without it.
func (s *segmentFile) replaceable() bool {
	return s.err == nil || errors.Is(s.err, segment.ErrHeaderLost) ||
		errors.Is(s.err, segment.ErrNotSegment)
}

// planSuperseded decides what a repair does with such segments. One that may hold more than the
// cold segment goes to the quarantine.
func (e *examination) planSuperseded() {
	for _, s := range e.segments {
		if s.err != errSuperseded {
			continue
		}
		opened := s.header.First > 0
		if s.fix = setAside; opened && !s.rename && s.cold.by.cold.whole() &&
			s.last <= s.cold.by.last {
			s.fix = remove
		}
		s.rename = false
	}
}

// clearSuperseded removes such segments, after the names of the cold segments are synced.
func (r *repair) clearSuperseded() error {
	var gone []inspect.FileInfo
	synced := false
	for _, s := range r.e.segments {
		if s.err != errSuperseded || s.fix == nothing {
			continue
		}
		if !synced {
			if err := r.sync(); err != nil {
				return err
			}
			synced = true
		}
		if s.fix == remove {
			gone = append(gone, s.file)
		} else if err := r.setAside(s); err != nil {
			return err
		}
	}
	return r.removeAll(gone, "removed, a cold segment replaces it")
}
