package offset

import (
	"math/rand/v2"
	"testing"
)

// The notes are compared with a plain map. The highest count of an item counts, and a taken item
// has none.
func TestNotesAreTheHighestCountsOfItemsNotTaken(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	st, model := New(1, 0, 0), map[uint64]uint32{}
	for range 3000 {
		seq, n := 1+rng.Uint64N(500), rng.Uint32N(9)
		switch {
		case rng.IntN(200) == 0:
			st.Take(seq, seq+rng.Uint64N(3), 0)
		case st.Deliver(seq, n) != (!st.Has(seq) && n > model[seq]):
			t.Fatalf("item %d, %d deliveries, %d before: got the wrong answer", seq, n, model[seq])
		default:
			model[seq] = max(model[seq], n)
		}
		noted := 0
		for seq, n := range model {
			if st.Has(seq) {
				delete(model, seq)
				n = 0
			}
			if st.Deliveries(seq) != n {
				t.Fatalf("item %d: got %d deliveries, want %d", seq, st.Deliveries(seq), n)
			}
			if n > 0 {
				noted++
			}
		}
		if st.Noted() != noted {
			t.Fatalf("got %d notes, want %d", st.Noted(), noted)
		}
	}
}

func TestTheNotesOfTheOldestItemsAreDroppedFirst(t *testing.T) {
	st := New(1, 0, 0)
	for seq := uint64(1); seq <= mostNotes+10; seq++ {
		st.Deliver(seq, 2)
	}
	if st.Noted() != mostNotes || st.Deliveries(10) != 0 || st.Deliveries(11) != 2 ||
		st.LastNoted() != mostNotes+10 {
		t.Errorf("got %d notes, %d and %d deliveries, want %d, 0 and 2",
			st.Noted(), st.Deliveries(10), st.Deliveries(11), mostNotes)
	}
	if st.Forget(1, ^uint64(0)); st.notes.tree != nil {
		t.Error("got a tree without notes, want none")
	}
}
