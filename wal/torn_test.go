package wal_test

import (
	"bytes"
	"fmt"
	"math/bits"
	"testing"
)

// The layout of an offset file, see offsets.go.
const slotSpacing, slotSize, entriesAt, entrySize = 512, 72, 1024, 32

// mixtures are what a store of now over before may leave when it is torn: some words are new.
func mixtures(before, now []byte) (all [][]byte) {
	const word = 4
	add := func(isNew func(i int) bool) {
		b := bytes.Clone(before)
		for i := range b {
			if isNew(i / word) {
				b[i] = now[i]
			}
		}
		all = append(all, b)
	}
	for k := range len(now) / word {
		add(func(i int) bool { return i < k })
		add(func(i int) bool { return i > k })
		add(func(i int) bool { return i != k })
		add(func(i int) bool { return i == k })
	}
	return all
}

// A kill may come in the middle of any store into an offset file, and a power cut may leave a page
// as it was then.
func TestAStoreIntoAnOffsetFileThatIsTornIsNoDamage(t *testing.T) {
	const offsets = "/data/q/consumer.off"
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 1000)
	taken := int64(0)
	take := func() { takeOne(t, l, c); taken++ }
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"an item is taken", take},
		{"a sync notes the head", func() { take(); syncNow(t, l) }},
		{"one is taken out of order", func() { next(t, l, c); take() }},
		{"a sync after that", func() { take(); syncNow(t, l) }},
	} {
		for round := range 4 {
			before, err := m.ReadFile(offsets)
			if err != nil {
				t.Fatal(err)
			}
			step.do()
			now, err := m.ReadFile(offsets)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range changed(before, now) {
				b, size := bytes.Clone(now), slotSize
				if at >= entriesAt { // what the slots say of an entry they say after it
					copy(b, before[:entriesAt])
					size = entrySize
				}
				for _, torn := range mixtures(before[at:][:size], now[at:][:size]) {
					if oneBitFrom(torn, before[at:]) || oneBitFrom(torn, now[at:]) {
						continue // that is a flipped bit, and mended
					}
					copy(b[at:], torn)
					image := memory{m.Clone(), t}
					if err := image.WriteFile(offsets, b); err != nil {
						t.Fatal(err)
					}
					isNoDamage(t, image, 1000-taken, fmt.Sprintf("%s, %d: % x at %d",
						step.name, round, torn, at))
				}
			}
		}
	}
}

// One store at a time is torn: more than that is damage.
func TestWhatNoEntryStandsInIsDamage(t *testing.T) {
	const offsets = "/data/q/consumer.off"
	for n, damaged := range []bool{false, false, true} {
		m := newMemory(t)
		l := m.open()
		c := consumer(t, l)
		fill(t, l, 0, 10)
		takeOne(t, l, c)
		syncNow(t, l)
		l.Abandon()
		b, err := m.ReadFile(offsets)
		if err != nil {
			t.Fatal(err)
		}
		end := len(bytes.TrimRight(b, "\x00"))
		end = (end + entrySize - 1) / entrySize * entrySize
		copy(b[end:], bytes.Repeat([]byte("?"), n*entrySize))
		if err := m.WriteFile(offsets, b); err != nil {
			t.Fatal(err)
		}
		if _, err := examine(m.FS, "/data/q"); damaged != (err != nil) {
			t.Errorf("%d places: got %v", n, err)
		}
	}
}

// oneBitFrom reports whether b differs from the beginning of another by one bit.
func oneBitFrom(b, other []byte) bool {
	n := 0
	for i, c := range b {
		n += bits.OnesCount8(c ^ other[i])
	}
	return n == 1
}

// changed returns the places of slots and entries that differ.
func changed(before, now []byte) (places []int) {
	for at, size := 0, 0; at < len(before); at += size {
		if size = slotSpacing; at >= entriesAt {
			size = entrySize
		}
		if !bytes.Equal(before[at:][:size], now[at:][:size]) {
			places = append(places, at)
		}
	}
	return places
}

// isNoDamage opens an image in which so many items are not taken.
func isNoDamage(t *testing.T, image memory, left int64, what string) {
	t.Helper()
	if _, err := examine(image.FS, "/data/q"); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	l, said := image.openRecording()
	if n := l.Stats().Damaged; n != 0 || said()[0] != "" {
		t.Fatalf("%s: got %d damaged and the errors %q, want none", what, n, said())
	}
	// What was taken last may come again.
	if items, _ := consumer(t, l).Pending(); items < left || items > left+2 {
		t.Fatalf("%s: got %d items, want %d or a little more", what, items, left)
	}
	l.Close()
}
