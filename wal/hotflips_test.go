package wal_test

// Flipped bits in segments: they cost nothing.

import (
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/darner/darner/wal"
)

// Many bits are flipped in the files of one form, and every item comes, as it was set.
func TestFlippedBitsInSegmentsCostNothing(t *testing.T) {
	for _, form := range []string{".seg", ".cold"} {
		t.Run(form, func(t *testing.T) {
			m := newMemory(t)
			open := m.open
			if form == ".cold" {
				open = func() *wal.Log { return openCold(m) }
			}
			l := open()
			consumer(t, l)
			n := 20_000
			if testing.Short() {
				n = 5000
			}
			fill(t, l, 0, n)
			settle(l)
			if form == ".cold" {
				wal.Compact(l)
				settle(l)
			}
			l.Close()
			names := m.files(form)
			if len(names) == 0 {
				t.Fatalf("got no %s files, want some", form)
			}
			rng := rand.New(rand.NewPCG(1, 13))
			flips := 100
			if form == ".cold" { // two in a block are beyond mending
				flips = len(names)
			}
			for i := range flips {
				name := path.Join("/data/q", names[i%len(names)])
				b, err := m.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				// Each in a part of its own, so that nothing has two.
				per := len(b) / (flips/len(names) + 1)
				at := i/len(names)*per + rng.IntN(per/2)
				if err := m.Corrupt(name, int64(at), 1<<rng.IntN(8)); err != nil {
					t.Fatal(err)
				}
			}
			l = open()
			c := consumer(t, l)
			got := drain(t, l, c)
			if len(got) != n {
				t.Fatalf("got %d items, want all %d", len(got), n)
			}
			for i := range got {
				if got[i] != payload(i) {
					t.Fatalf("item %d: got %q, want %q", i, got[i], payload(i))
				}
			}
			wal.Compact(l)
			settle(l)
			if s := l.Stats(); s.Damaged > 0 || int(s.Mended) < flips/2 {
				t.Errorf("got %d damaged and %d mended, want none and nearly all", s.Damaged, s.Mended)
			}
			for _, name := range m.Names("/data/q") {
				if strings.Contains(name, "quarantine") {
					t.Errorf("got %s, want nothing set aside", name)
				}
			}
			l.Close()
		})
	}
}

// A bit flips while the log is open: whoever reads the item next gets it as it was set.
func TestABitThatFlipsInARunningLogIsDeliveredMended(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	const n = 200
	fill(t, l, 0, n)
	name := path.Join("/data/q", m.files(".seg")[0])
	b, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		at := strings.Index(string(b), payload(i)) + i%len(payload(i))
		if err := m.Corrupt(name, int64(at), 1<<(i%8)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		p, _, _, err := c.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.TryRead(p, nil); err != nil || string(got) != payload(i) {
			t.Fatalf("item %d: got %q and %v, want %q", i, got, err, payload(i))
		}
	}
	settle(l)
	if s := l.Stats(); s.Mended < n || s.Damaged > 0 {
		t.Errorf("got %d mended and %d damaged, want %d and none", s.Mended, s.Damaged, n)
	}
	l.Close()
}

// What is mended is written back, so that the next reader finds it whole.
func TestAFlippedBitIsWrittenBack(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 3000)
	settle(l)
	name := path.Join("/data/q", m.files(".seg")[0])
	before, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Corrupt(name, 2000, 0x10); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		next(t, l, c) // and left open
	}
	wal.Compact(l)
	settle(l)
	after, err := m.ReadFile(name)
	if err == nil && string(after) != string(before) {
		t.Error("got the bit flipped still, want it as it was")
	}
	if s := l.Stats(); s.Mended != 1 || s.Damaged != 0 {
		t.Errorf("got %d mended and %d damaged, want 1 and 0", s.Mended, s.Damaged)
	}
	l.Close()
}
