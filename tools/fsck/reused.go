package fsck

// Segments whose files are used again once all in them is taken. Until the next sync, a power cut
// may leave such a file under any of its names, with any of its headers, half overwritten. Whatever
// that cost is taken.

import "github.com/darner/darner/segment"

// takenBelow returns the number below which every consumer has taken everything; 0 if some file
// does not say.
func (e *examination) takenBelow() (head uint64) {
	for _, c := range e.consumers {
		switch {
		case c.blank && c.name != "": // the log forgets it
		case c.state == nil || c.state.Head == 0:
			return 0
		case head == 0:
			head = c.state.Head
		default:
			head = min(head, c.state.Head)
		}
	}
	return head
}

// usedAgain reports whether a segment under a wrong name is one that the server finds its place
// for: its file had that name before, or has it already and its header never got there.
func (e *examination) usedAgain(s *segmentFile) bool {
	head := e.takenBelow()
	switch {
	case s.file.Cold || s.cold.isCold:
		return false
	case s.first > s.file.Number:
		return s.file.Number < head && !e.exists(s.name)
	}
	return s.first < s.file.Number && s.last < head
}

// placeUsedAgain notes what the server does with such a file.
func (e *examination) placeUsedAgain(s *segmentFile) {
	name := s.file.Name
	switch {
	case s.first < s.file.Number:
		e.t.note(name, Spare, "was about to be used again, and all in it is taken; "+
			"the server removes it")
		s.fix, s.err = remove, segment.ErrBlank
		s.first = s.file.Number
	case e.firstInUse(s):
		e.overlap(s)
	default:
		e.t.note(name, Spare, "is in use and was about to be renamed to %s; the server does that",
			s.name)
		s.rename = true
	}
}

// spent reports whether all that is in a segment is taken, so that its file may have been in use
// again. next is the first item of the next segment, or 0.
func (e *examination) spent(s *segmentFile, next uint64) bool {
	return s.err == nil && !s.sealed && !s.cold.isCold && e.takenUntil(next)
}

// takenUntil reports whether all before the first item of a segment is taken; 0 is no segment.
func (e *examination) takenUntil(next uint64) bool { return next > 0 && next <= e.takenBelow() }
