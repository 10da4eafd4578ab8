package queue

import (
	"errors"
	"testing"
)

// ends are the ways to end an open read.
var ends = map[string]func(*Queue, Item) error{
	"Confirm": (*Queue).Confirm,
	"Return":  (*Queue).Return,
	"Drop":    func(q *Queue, it Item) error { q.Drop(it); return nil },
}

func TestAnOpenReadIsEndedOnce(t *testing.T) {
	for first, end := range ends {
		for second, again := range ends {
			q := newQueue(t)
			put(t, q, "a", "b")
			it, other := fetch(t, q), fetch(t, q)
			if err := end(q, it); err != nil {
				t.Fatalf("%s: %v", first, err)
			}
			before := q.Stats()
			if err := again(q, it); !errors.Is(err, ErrNotOpen) && second != "Drop" {
				t.Errorf("%s after %s: got %v, want ErrNotOpen", second, first, err)
			}
			if s := q.Stats(); s != before || s.Open != 1 {
				t.Errorf("%s after %s: got %+v, want %+v", second, first, s, before)
			}
			if err := q.Confirm(other); err != nil {
				t.Errorf("%s after %s: got %v for another item", second, first, err)
			}
		}
	}
}

func TestAnItemThatIsOpenAgainBelongsToWhoGotItLast(t *testing.T) {
	q := newQueue(t)
	put(t, q, "a")
	old := fetch(t, q)
	q.Return(old)
	now := fetch(t, q)
	for name, end := range ends {
		if err := end(q, old); !errors.Is(err, ErrNotOpen) && name != "Drop" {
			t.Errorf("%s by who had it before: got %v, want ErrNotOpen", name, err)
		}
	}
	if s := q.Stats(); s.Open != 1 {
		t.Fatalf("got %+v, want Open 1", s)
	}
	if err := q.Return(now); err != nil {
		t.Fatal(err)
	}
	wants(t, q, "a")
}

func TestManyOpenReadsLeaveNoMemoryBehind(t *testing.T) {
	var o opens
	var tickets []ticket
	for i := range uint64(10 * manyOpen) {
		tickets = append(tickets, o.add(i+1))
	}
	for i, x := range tickets {
		if !o.remove(x, uint64(i)+1) {
			t.Fatalf("read %d is not open", i)
		}
	}
	if o.n != 0 || o.places != nil {
		t.Errorf("got %d open reads in %d places, want none", o.n, len(o.places))
	}
}
