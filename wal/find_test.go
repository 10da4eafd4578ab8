package wal_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/darner/darner/wal"
)

// timedItem puts an item with times.
func timedItem(t testing.TB, l *wal.Log, payload string, m wal.Meta) wal.Position {
	t.Helper()
	p, err := l.Append([]byte(payload), m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// found is the payload of the item with a number, "" if it is taken.
func found(t testing.TB, l *wal.Log, c *wal.Consumer, seq uint64) string {
	t.Helper()
	p, _, ok, err := c.TryFind(seq)
	for err == wal.ErrUnready {
		c.GetReady()
		p, _, ok, err = c.TryFind(seq)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return ""
	}
	b, _, err := l.Read(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnItemIsFoundByItsNumberWhereverItIs(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	const n = 20_000 // several segments
	for i := range n {
		timedItem(t, l, payload(i), wal.Meta{})
	}
	rest(l)
	for round := range 3 {
		if round == 2 {
			l.Close()
			l = m.open()
			c = consumer(t, l)
		}
		for range 200 {
			i := rand.IntN(n)
			if got := found(t, l, c, uint64(i+1)); got != payload(i) {
				t.Fatalf("got %q, want %q", got, payload(i))
			}
		}
		rest(l) // what nobody reads is closed, and made cold
	}
	for i := range 300 {
		if got := found(t, l, c, uint64(i+1)); got != payload(i) {
			t.Fatalf("got %q, want %q", got, payload(i))
		}
	}
	p, _, _, err := c.Next()
	if err != nil || c.Take(p) != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{0, 1, n + 1} {
		if got := found(t, l, c, seq); got != "" {
			t.Fatalf("got %q of number %d, want nothing", got, seq)
		}
	}
}

func TestALogKnowsWhatIsDueLater(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	var want []uint64
	for i := range 10_000 {
		due := int64(0)
		if i%100 == 0 {
			due = int64(1000 + i)
		}
		p := timedItem(t, l, payload(i), wal.Meta{More: &wal.More{Due: due}})
		switch {
		case due > 5000 && i%300 == 0:
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		case due > 5000:
			want = append(want, p.Seq)
		}
	}
	later := func() (got []uint64) {
		if err := c.EachDue(5000, func(p wal.Position, m wal.Meta) {
			if m.Due() <= 5000 {
				t.Errorf("got an item that is due at %d", m.Due())
			}
			got = append(got, p.Seq)
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := later(); !slices.Equal(got, want) {
		t.Fatalf("got %d items, want %d", len(got), len(want))
	}
	rest(l)
	for range 2 {
		l.Close()
		l = m.open()
		c = consumer(t, l)
		if got := later(); !slices.Equal(got, want) {
			t.Fatalf("after a restart: got %d items, want %d", len(got), len(want))
		}
	}
}

// expired are the numbers of the items that EachExpired finds, each of which stays or is taken.
func expired(t testing.TB, c *wal.Consumer, at, put int64, stays func(seq uint64) bool) []uint64 {
	t.Helper()
	var all []uint64
	for from, n := uint64(0), 0; ; n = 0 {
		next, err := c.EachExpired(at, put, from, func(p wal.Position, _ wal.Meta) (bool, bool) {
			all = append(all, p.Seq)
			n++
			if stays(p.Seq) {
				return true, n < 7
			}
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
			return false, n < 7
		})
		if err != nil {
			t.Fatal(err)
		}
		if next == 0 {
			return all
		}
		from = next
	}
}

func TestExpiredItemsAreFoundOnceTheyAre(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	ends := make(map[uint64]int64)
	for i := range 20_000 {
		meta := wal.Meta{Enqueued: int64(1 + i)}
		if i%3 > 0 {
			meta.Expires = int64(1000 + rand.IntN(100_000))
		}
		p := timedItem(t, l, payload(i), meta)
		if meta.Expires > 0 {
			ends[p.Seq] = meta.Expires
		}
	}
	none := func(uint64) bool { return false }
	for at := int64(10_000); at <= 110_000; at += 20_000 {
		var want []uint64
		for seq, end := range ends {
			if end <= at {
				want = append(want, seq)
				delete(ends, seq)
			}
		}
		slices.Sort(want)
		if got := expired(t, c, at, 0, none); !slices.Equal(got, want) {
			t.Fatalf("at %d: got %d items, want %d", at, len(got), len(want))
		}
		if first := c.Expires(0); first != 0 && first <= at {
			t.Fatalf("at %d: got %d as the next time", at, first)
		}
		switch at {
		case 30_000:
			rest(l) // compaction leaves out what is gone
		case 50_000:
			l.Close()
			l = m.open()
			c = consumer(t, l)
		}
	}
	if got := expired(t, c, 0, 9000, none); len(got) != 3000 { // a third never expires by itself
		t.Fatalf("got %d old items, want 3000", len(got))
	}
}

func TestExpiredItemsThatStayAreFoundAgainLater(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	for i := range 100 {
		timedItem(t, l, payload(i), wal.Meta{Expires: 1000})
	}
	odd := func(seq uint64) bool { return seq%2 == 1 }
	if got := expired(t, c, 1000, 0, odd); len(got) != 100 {
		t.Fatalf("got %d items, want 100", len(got))
	}
	if got := expired(t, c, 2000, 0, odd); len(got) != 0 {
		t.Fatalf("got %d items, want none for some seconds", len(got))
	}
	if got := expired(t, c, 60_000, 0, odd); len(got) != 50 {
		t.Fatalf("got %d items, want the 50 that stayed", len(got))
	}
}

func TestALogInWhichNothingExpiresIsNotWalked(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	for i := range 10_000 {
		timedItem(t, l, payload(i), wal.Meta{})
	}
	l.Close()
	l = m.open()
	c := consumer(t, l)
	if at := c.Expires(0); at != 0 {
		t.Fatalf("got %d, want that nothing expires", at)
	}
	if got := expired(t, c, 1<<60, 0, func(uint64) bool { return true }); len(got) != 0 {
		t.Fatalf("got %d items, want none", len(got))
	}
}

func TestFindingAnItemWaitsForNoDisk(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	for i := range 20_000 {
		timedItem(t, l, payload(i), wal.Meta{})
	}
	rest(l)
	for _, seq := range []uint64{10, 9000, 2000} {
		if _, _, _, err := c.TryFind(seq); err != wal.ErrUnready {
			t.Fatalf("number %d: got %v, want that it is to be read first", seq, err)
		}
		if got := found(t, l, c, seq); got != payload(int(seq-1)) {
			t.Fatalf("got %q, want item %d", got, seq)
		}
		if _, _, ok, err := c.TryFind(seq + 1); !ok || err != nil {
			t.Fatalf("number %d: got %v, %v, want the next one at once", seq+1, ok, err)
		}
	}
}
