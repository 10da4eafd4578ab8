package queue

// A set of item numbers, kept as ranges: a million in a row take no more than one.

import "github.com/google/btree"

// numbers is the set. Make it with newNumbers.
type numbers struct {
	ranges *btree.BTreeG[numberRange] // disjoint, and not adjacent
	n      int64

	find  func(numberRange) bool // keeps what it is called with first in found
	found numberRange
	ok    bool
}

type numberRange struct{ from, to uint64 }

func newNumbers() *numbers {
	before := func(a, b numberRange) bool { return a.from < b.from }
	s := &numbers{ranges: btree.NewG(64, before)}
	s.find = func(r numberRange) bool { // made once, so that nothing is allocated for each search
		s.found, s.ok = r, true
		return false
	}
	return s
}

// min is the lowest number; false if there is none.
func (s *numbers) min() (seq uint64, ok bool) {
	r, ok := s.ranges.Min()
	return r.from, ok
}

// below is the last range that begins at a number or before.
func (s *numbers) below(seq uint64) (found numberRange, ok bool) {
	s.found, s.ok = numberRange{}, false
	s.ranges.DescendLessOrEqual(numberRange{from: seq}, s.find)
	return s.found, s.ok
}

func (s *numbers) add(seq uint64) {
	r := numberRange{seq, seq}
	if before, ok := s.below(seq); ok && before.to >= seq {
		return
	} else if ok && before.to+1 == seq {
		r.from = before.from
	}
	if after, ok := s.ranges.Delete(numberRange{from: seq + 1}); ok {
		r.to = after.to
	}
	s.ranges.ReplaceOrInsert(r)
	s.n++
}

// remove is false if the number was not there.
func (s *numbers) remove(seq uint64) bool {
	r, ok := s.below(seq)
	if !ok || r.to < seq {
		return false
	}
	if r.from < seq {
		s.ranges.ReplaceOrInsert(numberRange{r.from, seq - 1})
	} else {
		s.ranges.Delete(r)
	}
	if seq < r.to {
		s.ranges.ReplaceOrInsert(numberRange{seq + 1, r.to})
	}
	s.n--
	return true
}

// memory is about how many bytes the set takes.
func (s *numbers) memory() int64 {
	const each = 24 // of a range, in a tree that is two thirds full
	return int64(s.ranges.Len()) * each
}
