package offset

import (
	"testing"

	"pgregory.net/rapid"
)

// The set of taken numbers is compared with a plain map.
func TestSpansAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, model := newSet(), map[uint64]bool{}
		low := uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "pop") == 0 {
				low += rapid.Uint64Range(0, 5).Draw(t, "by")
				for {
					x, ok := s.popAt(low)
					if !ok {
						break
					}
					for i := x.From; i <= x.To; i++ {
						if !model[i] {
							t.Fatalf("got %d popped, which was not in the set", i)
						}
						delete(model, i)
					}
				}
				continue
			}
			from := low + rapid.Uint64Range(1, 60).Draw(t, "from")
			to := from + rapid.Uint64Range(0, 3).Draw(t, "more")
			s.Add(Span{From: from, To: to, Bytes: to - from + 1})
			for i := from; i <= to; i++ {
				model[i] = true
			}
		}
		if s.Count != uint64(len(model)) {
			t.Fatalf("count %d, want %d", s.Count, len(model))
		}
		for i := range low + 80 {
			if s.Has(i) != model[i] {
				t.Fatalf("Has(%d) = %v, want the other", i, s.Has(i))
			}
		}
		end, ok := uint64(0), true
		s.Each(func(x Span) bool {
			ok = ok && (end == 0 || x.From > end+1) && x.To >= x.From
			end = x.To
			return true
		})
		if !ok {
			t.Fatal("spans overlap, touch or are out of order")
		}
	})
}
