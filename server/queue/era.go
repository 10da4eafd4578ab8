package queue

// Which era of the clock a queue's items are of, and so when they expire.

// mark says that items from a sequence number on are of an era of this run.
type mark struct {
	seq uint64
	era uint32
}

// mostMarks bounds a queue's; what is below the oldest counts as put by an earlier run.
const mostMarks = 16

// noteEra notes of which era an item is that was put.
func (s *store) noteEra(seq uint64, era uint32) {
	n := len(s.marks)
	if n > 0 && s.marks[n-1].era == era {
		s.marks[n-1].seq = min(s.marks[n-1].seq, seq)
		return
	}
	if n == mostMarks {
		s.marks = append(s.marks[:0], s.marks[1:]...)
	}
	s.marks = append(s.marks, mark{seq, era})
}

// adopt corrects the times of an item that is about to be put, and tells its era.
func (s *store) adopt(m *Meta) (era uint32) {
	if m.Enqueued == 0 {
		m.Enqueued = s.reg.o.Clock.Now()
	}
	by, era := s.reg.o.Clock.adopt(m.Enqueued)
	m.Move(by)
	return era
}

// moved is by how much an item's times are to be corrected to compare them with the clock's.
func (s *store) moved(it Item) int64 {
	c := s.reg.o.Clock
	for i := len(s.marks) - 1; i >= 0; i-- {
		if s.marks[i].seq <= it.Seq {
			return c.moved(s.marks[i].era)
		}
	}
	return c.movedBefore(it.Enqueued)
}

// ends is when, by the clock as it is set now, an item's time is up, in Unix ms; 0 never.
func (s *store) ends(it Item) int64 {
	if it.Expires == 0 || it.fixed {
		return it.Expires
	}
	return it.Expires + s.moved(it)
}

// expired tells whether an item's time is up.
func (s *store) expired(it Item) bool {
	if it.Expires == 0 {
		return false
	}
	now := s.reg.o.Clock.Now() // first: it may notice a step
	return s.ends(it) <= now
}
