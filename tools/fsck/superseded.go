package fsck

// Segments that a cold one stands for, and that a crash kept from being deleted.

import (
	"errors"
	"fmt"
	"iter"
	"sort"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// errSuperseded: what is in the segment is in a cold one, too.
var errSuperseded = errors.New("a cold segment stands for it")

// supersede finds them. The segments are in order.
func (e *examination) supersede() {
	for _, s := range e.segments {
		if !s.cold.is || s.err != nil {
			continue
		}
		for old := range e.claimedBy(s) {
			if old.first > s.last && old.header.First > 0 && old.last >= old.first {
				e.claimsTooMuch(s, old)
				break // those behind it as well
			}
		}
		for old := range e.claimedBy(s) {
			old.err, old.cold.by = errSuperseded, s
			e.t.add(Finding{File: old.file.Name, Severity: Note, Kind: Superseded, What: "was written anew as " + s.name + " and was about to be deleted; the server does that"})
		}
	}
}

// claimedBy goes through the segments that a cold one stands for by its name.
func (e *examination) claimedBy(s *segmentFile) iter.Seq[*segmentFile] {
	claim := inspect.Classify(s.name)
	from := sort.Search(len(e.segments), func(i int) bool { return e.segments[i].first >= claim.Number })
	return func(yield func(*segmentFile) bool) {
		for _, old := range e.segments[from:] {
			if old.first > claim.Through {
				return
			}
			if old != s && old.replaceable() && claim.Supersedes(inspect.Classify(old.name)) && !yield(old) {
				return
			}
		}
	}
}

// claimsTooMuch deals with a cold segment whose name says that it stands for one that follows it: the
// server would believe that.
func (e *examination) claimsTooMuch(s, old *segmentFile) {
	s.rename = true
	s.name = inspect.ColdName(s.first, max(s.first, old.first-1))
	e.t.add(Finding{File: s.file.Name, Severity: Damage, Kind: Misnamed,
		What: fmt.Sprintf("holds items up to %d, so it is %s; the server would delete %s, which follows", s.last, s.name, old.file.Name)})
}

// replaceable reports whether a segment's state is known well enough to do without it.
func (s *segmentFile) replaceable() bool {
	return s.err == nil || errors.Is(s.err, segment.ErrHeaderLost) || errors.Is(s.err, segment.ErrNotSegment)
}

// planSuperseded decides what becomes of them. One of which it is not sure that all of it is in the
// cold segment is kept in the quarantine.
func (e *examination) planSuperseded() {
	for _, s := range e.segments {
		if s.err != errSuperseded {
			continue
		}
		opened := s.header.First > 0
		if s.fix = setAside; opened && !s.rename && s.cold.by.cold.whole() && s.last <= s.cold.by.last {
			s.fix = remove
		}
		s.rename = false
	}
}

// clearSuperseded removes them. Before, the cold segments have to have their names for good.
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
	return r.removeAll(gone, "removed, a cold segment stands for it")
}
