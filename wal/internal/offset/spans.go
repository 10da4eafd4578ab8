package offset

import "github.com/google/btree"

// Span is the sequence numbers From..To, both included, with the payload bytes of their items.
type Span struct{ From, To, Bytes uint64 }

// Part returns the part of a span that lies within from..to, with its share of the bytes.
func (x Span) Part(from, to uint64) Span {
	share := float64(to-from+1) / float64(x.To-x.From+1)
	return Span{From: from, To: to, Bytes: uint64(share * float64(x.Bytes))}
}

// Set is the set of sequence numbers taken out of order. Its spans are ordered, disjoint and not
// adjacent: it holds one span for each hole below it, not one for each item.
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

// Add adds a span and reports whether anything of it was new. Its bytes count in full even if only
// part of it is new. That happens only after damage: otherwise a span is added once, in one piece.
func (s *Set) Add(n Span) bool {
	if n.To < n.From {
		return false
	}
	if have, ok := s.Find(n.From); ok && have.To >= n.To {
		return false
	}
	for { // merge every span that overlaps or touches
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

// BytesUpTo is the bytes of the spans that end at or before a number.
func (s *Set) BytesUpTo(to uint64) (n uint64) {
	s.tree.AscendLessThan(Span{From: to + 1}, func(x Span) bool {
		if x.To <= to {
			n += x.Bytes
		}
		return true
	})
	return n
}

func (s *Set) remove(x Span) {
	s.tree.Delete(x)
	s.Count -= x.To - x.From + 1
	s.Bytes -= x.Bytes
}

// From returns the first span that begins at or after seq.
func (s *Set) From(seq uint64) (x Span, ok bool) {
	s.tree.AscendGreaterOrEqual(Span{From: seq}, func(y Span) bool {
		x, ok = y, true
		return false
	})
	return x, ok
}

// popAt removes and returns the first span if it starts at or below seq.
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
