package queue

import (
	"testing"

	"pgregory.net/rapid"
)

func TestASetOfNumbersHasWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := newNumbers(), make(map[uint64]bool)
		number := rapid.Uint64Range(1, 60)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				seq := number.Draw(t, "number")
				s.add(seq)
				want[seq] = true
			},
			"remove": func(t *rapid.T) {
				seq := number.Draw(t, "number")
				if got := s.remove(seq); got != want[seq] {
					t.Fatalf("got %v, want %v", got, want[seq])
				}
				delete(want, seq)
			},
			"": func(t *rapid.T) {
				least, last := uint64(0), uint64(0)
				for seq := range want {
					if least == 0 || seq < least {
						least = seq
					}
				}
				if got, ok := s.min(); got != least || ok != (least != 0) {
					t.Fatalf("got lowest %d, %v, want %d", got, ok, least)
				}
				n := 0
				s.ranges.Ascend(func(r numberRange) bool {
					if r.from <= last+1 && last > 0 || r.to < r.from {
						t.Fatalf("got range %+v after %d, want them apart", r, last)
					}
					for seq := r.from; seq <= r.to; seq++ {
						n++
						if !want[seq] {
							t.Fatalf("got %d, want it not", seq)
						}
					}
					last = r.to
					return true
				})
				if n != len(want) || s.n != int64(n) {
					t.Fatalf("got %d numbers, counted %d, want %d", n, s.n, len(want))
				}
			},
		})
	})
}
