package queue

// Which era an item belongs to, and so when it expires.

// eraMark says that items from a sequence number on belong to an era of this run.
type eraMark struct {
	seq uint64
	era uint32
}

// maxMarks bounds the marks of a store. Items below the oldest one count as put by an earlier run.
const maxMarks = 16

// noteEraLocked notes which era an item that was put belongs to.
func (s *store) noteEraLocked(seq uint64, era uint32) {
	n := len(s.marks)
	if n > 0 && s.marks[n-1].era == era {
		s.marks[n-1].seq = min(s.marks[n-1].seq, seq)
		return
	}
	if n == maxMarks {
		s.marks = append(s.marks[:0], s.marks[1:]...)
	}
	s.marks = append(s.marks, eraMark{seq, era})
}

// correctTimes corrects the times of an item that is about to be put, and returns its era.
func (s *store) correctTimes(m *Meta) (era uint32) {
	if m.Enqueued == 0 {
		m.Enqueued = s.reg.eras.now()
	}
	by, era := s.reg.eras.correction(m.Enqueued)
	m.Move(by)
	return era
}

// shiftLocked is what to add to an item's times to compare them with the clock.
func (s *store) shiftLocked(it Item) int64 {
	e := s.reg.eras
	for i := len(s.marks) - 1; i >= 0; i-- {
		if s.marks[i].seq <= it.Seq {
			return e.shiftSince(s.marks[i].era)
		}
	}
	return e.shiftBefore(it.Enqueued)
}

// expiryLocked is when an item expires by the clock as it is set now, in Unix ms; 0 is never. Its
// queue may end it earlier: see Queue.endsLocked.
func (s *store) expiryLocked(it Item) int64 {
	if it.Expires == 0 || it.fixed {
		return it.Expires
	}
	return it.Expires + s.shiftLocked(it)
}
