package offset

import "github.com/google/btree"

// notes are how often items were delivered: the least that it may have been. They cost nothing
// while there are none.
type notes struct{ tree *btree.BTreeG[note] }

type note struct {
	seq uint64
	n   uint32
}

// mostNotes bounds the notes of a consumer, so that they take no more than half of what an offset
// file may gather.
const mostNotes = 4096

// of returns how often an item was delivered, 0 if there is no note.
func (s *notes) of(seq uint64) uint32 {
	if s.tree == nil {
		return 0
	}
	x, _ := s.tree.Get(note{seq: seq})
	return x.n
}

// add notes how often an item was delivered. It is false if the note says so already. If there are
// too many notes, that of the oldest item is dropped.
func (s *notes) add(seq uint64, n uint32) bool {
	if n <= s.of(seq) {
		return false
	}
	if s.tree == nil {
		s.tree = btree.NewG(32, func(a, b note) bool { return a.seq < b.seq })
	}
	s.tree.ReplaceOrInsert(note{seq, n})
	if s.tree.Len() > mostNotes {
		s.tree.DeleteMin()
	}
	return true
}

// forget drops the notes of the items from..to.
func (s *notes) forget(from, to uint64) {
	for s.tree != nil {
		x, ok := note{}, false
		s.tree.AscendGreaterOrEqual(note{seq: from}, func(y note) bool {
			x, ok = y, y.seq <= to
			return false
		})
		if !ok {
			return
		}
		if s.tree.Delete(x); s.tree.Len() == 0 {
			s.tree = nil
		}
	}
}

func (s *notes) len() int {
	if s.tree == nil {
		return 0
	}
	return s.tree.Len()
}

// each goes through the notes in the order of the items, until fn returns false.
func (s *notes) each(fn func(note) bool) {
	if s.tree != nil {
		s.tree.Ascend(fn)
	}
}

// clone returns a copy.
func (s *notes) clone() (c notes) {
	s.each(func(x note) bool { return c.add(x.seq, x.n) })
	return c
}

// Deliver notes that an item was delivered n times, or more often. It is false if that is known, or
// the item is taken. The notes are bounded: those of the oldest items are dropped first.
func (st *State) Deliver(seq uint64, n uint32) bool {
	return !st.Has(seq) && st.notes.add(seq, n)
}

// Deliveries returns how often an item was delivered at least, as far as it was noted; 0 if it is
// taken.
func (st *State) Deliveries(seq uint64) uint32 { return st.notes.of(seq) }

// Noted returns how many items have a note of their deliveries.
func (st *State) Noted() int { return st.notes.len() }

// LastNoted returns the number of the last item with a note, 0 if there is none.
func (st *State) LastNoted() uint64 {
	if st.notes.tree == nil {
		return 0
	}
	x, _ := st.notes.tree.Max()
	return x.seq
}

// Forget drops the notes of the items from..to, which are taken.
func (st *State) Forget(from, to uint64) { st.notes.forget(from, to) }

// forgetTaken drops the notes of all items that are taken.
func (st *State) forgetTaken() {
	var gone []uint64
	st.notes.each(func(x note) bool {
		if st.Has(x.seq) {
			gone = append(gone, x.seq)
		}
		return true
	})
	for _, seq := range gone {
		st.notes.forget(seq, seq)
	}
}
