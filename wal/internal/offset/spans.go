package offset

import "github.com/google/btree"

// Span is a run of sequence numbers [from, to] with the payload bytes of its items.
type Span struct{ From, To, Bytes uint64 }

// Part is what lies within [from, to], with its share of the bytes.
func (x Span) Part(from, to uint64) Span {
	share := float64(to-from+1) / float64(x.To-x.From+1)
	return Span{From: from, To: to, Bytes: uint64(share * float64(x.Bytes))}
}

// Set is the set of sequence numbers taken out of order: disjoint, never adjacent, ordered.
// It holds one span for each hole below it, not one for each item.
type Set struct {
	tree  *btree.BTreeG[Span]
	Count uint64 // sequence numbers in the set
	Bytes uint64 // payload bytes of their items
}

func newSet() Set {
	return Set{tree: btree.NewG(32, func(a, b Span) bool { return a.From < b.From })}
}

// Find returns the span that holds seq.
func (s *Set) Find(seq uint64) (found Span, ok bool) {
	s.tree.DescendLessOrEqual(Span{From: seq}, func(x Span) bool {
		found, ok = x, x.To >= seq
		return false
	})
	return found, ok
}

// Has reports whether seq is in the set.
func (s *Set) Has(seq uint64) bool {
	_, ok := s.Find(seq)
	return ok
}

// Add puts [from, to] into the set and reports whether anything of it was new. Bytes count only
// when the whole of it is new: a span is added once, in one piece, save after damage.
func (s *Set) Add(n Span) bool {
	if n.To < n.From {
		return false
	}
	if have, ok := s.Find(n.From); ok && have.To >= n.To {
		return false
	}
	for { // swallow every span that overlaps or touches
		var x Span
		ok := false
		s.tree.DescendLessOrEqual(Span{From: n.To + 1}, func(y Span) bool {
			x, ok = y, y.To+1 >= n.From
			return false
		})
		if !ok {
			break
		}
		s.remove(x)
		n = Span{From: min(n.From, x.From), To: max(n.To, x.To), Bytes: n.Bytes + x.Bytes}
	}
	s.tree.ReplaceOrInsert(n)
	s.Count += n.To - n.From + 1
	s.Bytes += n.Bytes
	return true
}

func (s *Set) remove(x Span) {
	s.tree.Delete(x)
	s.Count -= x.To - x.From + 1
	s.Bytes -= x.Bytes
}

// From returns the first span that begins at or behind seq.
func (s *Set) From(seq uint64) (x Span, ok bool) {
	s.tree.AscendGreaterOrEqual(Span{From: seq}, func(y Span) bool {
		x, ok = y, true
		return false
	})
	return x, ok
}

// popAt removes and returns the span that starts at or below seq, if any.
func (s *Set) popAt(seq uint64) (x Span, ok bool) {
	x, ok = s.tree.Min()
	if !ok || x.From > seq {
		return Span{}, false
	}
	s.remove(x)
	return x, true
}

// Clear empties the set.
func (s *Set) Clear() {
	s.tree.Clear(true)
	s.Count, s.Bytes = 0, 0
}

// Each calls fn for every span in order until it returns false.
func (s *Set) Each(fn func(Span) bool) { s.tree.Ascend(fn) }
