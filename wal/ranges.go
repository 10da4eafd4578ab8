package wal

import "github.com/google/btree"

// span is a run of sequence numbers [from, to] with the payload bytes of its items.
type span struct{ from, to, bytes uint64 }

// part is what lies within [from, to], with its share of the bytes.
func (x span) part(from, to uint64) span {
	share := float64(to-from+1) / float64(x.to-x.from+1)
	return span{from: from, to: to, bytes: uint64(share * float64(x.bytes))}
}

// spans is the set of sequence numbers taken out of order: disjoint, never adjacent, ordered.
// It holds one span for each hole below it, not one for each item.
type spans struct {
	tree  *btree.BTreeG[span]
	count uint64 // sequence numbers in the set
	bytes uint64 // payload bytes of their items
}

func newSpans() spans {
	return spans{tree: btree.NewG(32, func(a, b span) bool { return a.from < b.from })}
}

// find returns the span that holds seq.
func (s *spans) find(seq uint64) (found span, ok bool) {
	s.tree.DescendLessOrEqual(span{from: seq}, func(x span) bool {
		found, ok = x, x.to >= seq
		return false
	})
	return found, ok
}

func (s *spans) has(seq uint64) bool {
	_, ok := s.find(seq)
	return ok
}

// add puts [from, to] into the set and reports whether anything of it was new. Bytes count only
// when the whole of it is new: a span is added once, in one piece, save after damage.
func (s *spans) add(n span) bool {
	if n.to < n.from {
		return false
	}
	if have, ok := s.find(n.from); ok && have.to >= n.to {
		return false
	}
	for { // swallow every span that overlaps or touches
		var x span
		ok := false
		s.tree.DescendLessOrEqual(span{from: n.to + 1}, func(y span) bool {
			x, ok = y, y.to+1 >= n.from
			return false
		})
		if !ok {
			break
		}
		s.remove(x)
		n = span{from: min(n.from, x.from), to: max(n.to, x.to), bytes: n.bytes + x.bytes}
	}
	s.tree.ReplaceOrInsert(n)
	s.count += n.to - n.from + 1
	s.bytes += n.bytes
	return true
}

func (s *spans) remove(x span) {
	s.tree.Delete(x)
	s.count -= x.to - x.from + 1
	s.bytes -= x.bytes
}

// popAt removes and returns the span that starts at or below seq, if any.
func (s *spans) popAt(seq uint64) (x span, ok bool) {
	x, ok = s.tree.Min()
	if !ok || x.from > seq {
		return span{}, false
	}
	s.remove(x)
	return x, true
}

func (s *spans) clear() {
	s.tree.Clear(true)
	s.count, s.bytes = 0, 0
}

// each calls fn for every span in order until it returns false.
func (s *spans) each(fn func(span) bool) { s.tree.Ascend(fn) }
