package offset

import (
	"iter"
	"math"
	"slices"
)

// State is what a consumer has taken.
type State struct {
	Head    uint64 // everything below is taken
	Below   uint64 // payload bytes of everything below the head
	Created int64  // when the consumer was made, Unix ms
	Taken   Set    // taken at or above the head
	Durable uint64 // all items of the log below were on stable storage once; 0 if not known
	notes   notes  // of deliveries of items that are not taken
}

// New returns the state of a consumer that has taken everything below head, with so many bytes in
// all, and nothing else.
func New(head, below uint64, created int64) State {
	return State{Head: head, Below: below, Created: created, Taken: newSet()}
}

// Size returns the size in bytes of a file that holds the state.
func (st *State) Size() int {
	return entriesAt + entrySize*(1+st.Taken.tree.Len()+st.notes.len())
}

// Has reports whether an item is taken.
func (st *State) Has(seq uint64) bool { return seq < st.Head || st.Taken.Has(seq) }

// Run reports whether an item is taken, and returns the last of the items after it for which the
// same is true.
func (st *State) Run(seq uint64) (taken bool, last uint64) {
	if seq < st.Head {
		return true, st.Head - 1
	}
	if x, ok := st.Taken.Find(seq); ok {
		return true, x.To
	}
	if x, ok := st.Taken.From(seq); ok {
		return false, x.From - 1
	}
	return false, ^uint64(0)
}

// End returns the number after everything taken.
func (st *State) End() uint64 {
	if x, ok := st.Taken.tree.Max(); ok {
		return x.To + 1
	}
	return st.Head
}

// Take adds the numbers from..to, whose items have so many bytes of payload.
func (st *State) Take(from, to, bytes uint64) {
	if from = max(from, st.Head); from <= to {
		st.Taken.Add(Span{from, to, bytes})
		st.notes.forget(from, to)
		st.Absorb()
	}
}

// Ranges goes through what is taken at or above the head, in order: first and last number, and
// bytes.
func (st *State) Ranges() iter.Seq2[[2]uint64, uint64] {
	return func(yield func([2]uint64, uint64) bool) {
		st.Taken.Each(func(x Span) bool { return yield([2]uint64{x.From, x.To}, x.Bytes) })
	}
}

// Missing goes through the numbers in from..to that are not taken, as ranges in order: first and
// last number.
func (st *State) Missing(from, to uint64) iter.Seq2[uint64, uint64] {
	return func(yield func(from, to uint64) bool) {
		at, more := max(from, st.Head), true
		if x, ok := st.Taken.Find(at); ok {
			if x.To >= to {
				return
			}
			at = x.To + 1
		}
		st.Taken.tree.AscendGreaterOrEqual(Span{From: at}, func(x Span) bool {
			if x.From > to {
				return false
			}
			more = yield(at, x.From-1) && x.To < to
			at = x.To + 1
			return more
		})
		if more && at <= to {
			yield(at, to)
		}
	}
}

// add adds what an entry of a file says.
func (st *State) add(e Entry) {
	switch e.kind {
	case checkpoint:
		st.Durable = max(st.Durable, e.From)
		if e.To > st.Head {
			st.Head, st.Below = e.To, e.Bytes
		}
	case taken:
		st.Taken.Add(e.Span)
	case deliveries:
		st.notes.add(e.From, uint32(min(e.To, math.MaxUint32)))
	}
}

// Unite adds what another file of the same consumer says. added may be nil. It is called with each
// entry that adds something, except to the head.
func (st *State) Unite(other *State, added func(Entry)) {
	if other.Head > st.Head {
		st.Head, st.Below = other.Head, other.Below
	}
	other.Taken.Each(func(x Span) bool {
		if st.Taken.Add(x) && added != nil {
			added(Range(x))
		}
		return true
	})
	other.notes.each(func(x note) bool {
		if st.Deliver(x.seq, x.n) && added != nil {
			added(Delivered(x.seq, x.n))
		}
		return true
	})
	st.Durable = max(st.Durable, other.Durable)
	st.Absorb()
	st.forgetTaken()
}

// Without returns the state without some runs, which are ordered, disjoint, not adjacent, and
// taken.
func (st *State) Without(runs []Span) State {
	n := New(st.Head, st.Below, st.Created)
	n.Durable = st.Durable
	n.notes = st.notes.clone()
	st.Taken.Each(func(x Span) bool { return n.Taken.Add(x) })
	for _, run := range slices.Backward(runs) {
		n.untake(run)
	}
	return n
}

// untake removes a run that lies within one span of what is taken, or below the head.
func (st *State) untake(run Span) {
	if run.From < st.Head {
		st.Taken.Add(Span{From: run.To + 1, To: st.Head - 1})
		st.Head = run.From
		st.Below -= min(st.Below, run.Bytes)
		return
	}
	x, _ := st.Taken.Find(run.From)
	st.Taken.remove(x)
	left := x.Bytes - min(x.Bytes, run.Bytes) // of both pieces: only their sum counts
	if run.From > x.From {
		st.Taken.Add(Span{x.From, run.From - 1, left})
		left = 0
	}
	st.Taken.Add(Span{run.To + 1, x.To, left})
}

// Absorb moves the head over everything taken directly after it.
func (st *State) Absorb() {
	for {
		x, ok := st.Taken.popAt(st.Head)
		if !ok {
			return
		}
		if x.To >= st.Head {
			st.Head = x.To + 1
			st.Below += x.Bytes
		}
	}
}
