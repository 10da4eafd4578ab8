package queue

// Which era of the clock a queue's items are of, and so when they expire.

import "github.com/darner/darner/wal"

// mark says that items from a sequence number on are of an era of this run.
type mark struct {
	seq uint64
	era uint32
}

// mostMarks bounds a queue's; what is below the oldest counts as put by an earlier run.
const mostMarks = 16

// noteEra notes of which era an item is that was put.
func (q *Queue) noteEra(seq uint64, era uint32) {
	n := len(q.marks)
	if n > 0 && q.marks[n-1].era == era {
		q.marks[n-1].seq = min(q.marks[n-1].seq, seq)
		return
	}
	if n == mostMarks {
		q.marks = append(q.marks[:0], q.marks[1:]...)
	}
	q.marks = append(q.marks, mark{seq, era})
}

// adopt corrects the times of an item that is about to be put, and tells its era.
func (q *Queue) adopt(m *wal.Meta) (era uint32) {
	if m.Enqueued == 0 {
		m.Enqueued = q.reg.o.Clock.Now()
	}
	by, era := q.reg.o.Clock.adopt(m.Enqueued)
	m.Move(by)
	return era
}

// moved is by how much an item's times are to be corrected to compare them with the clock's.
func (q *Queue) moved(it Item) int64 {
	c := q.reg.o.Clock
	for i := len(q.marks) - 1; i >= 0; i-- {
		if q.marks[i].seq <= it.Seq {
			return c.moved(q.marks[i].era)
		}
	}
	return c.movedBefore(it.Enqueued)
}

// ends is when, by the clock as it is set now, an item's time is up, in Unix ms; 0 never.
func (q *Queue) ends(it Item) int64 {
	if it.Expires == 0 || it.fixed {
		return it.Expires
	}
	return it.Expires + q.moved(it)
}

// expired tells whether an item's time is up.
func (q *Queue) expired(it Item) bool {
	if it.Expires == 0 {
		return false
	}
	now := q.reg.o.Clock.Now() // first: it may notice a step
	return q.ends(it) <= now
}
