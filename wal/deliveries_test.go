package wal_test

import (
	"testing"

	"github.com/darner/darner/wal"
)

// delivered is a log of ten items, of which some were delivered before.
func delivered(t *testing.T) (m memory, l *wal.Log, c *wal.Consumer, at []wal.Position) {
	t.Helper()
	m = newMemory(t)
	l = m.open()
	c = consumer(t, l)
	for i := range 10 {
		at = append(at, put(t, l, payload(i)))
	}
	c.NoteDelivered(at[2], 1)
	c.NoteDelivered(at[2], 3)
	c.NoteDelivered(at[2], 2) // less than what is noted
	c.NoteDelivered(at[5], 7)
	return m, l, c, at
}

func deliveriesAre(t *testing.T, c *wal.Consumer, want map[uint64]uint32) {
	t.Helper()
	for seq := range uint64(20) {
		if got := c.Deliveries(seq); got != want[seq] {
			t.Errorf("item %d: got %d deliveries, want %d", seq, got, want[seq])
		}
	}
}

func TestDeliveriesAreKnownAfterAnyEnd(t *testing.T) {
	want := map[uint64]uint32{3: 3, 6: 7}
	m, l, c, _ := delivered(t)
	deliveriesAre(t, c, want)
	deliveriesAre(t, consumer(t, memory{m.Clone(), t}.open()), want) // a kill
	syncNow(t, l)
	for _, m := range crashed(m)[1:] {
		deliveriesAre(t, consumer(t, m.open()), want)
	}
	if err := wal.RewriteOffsets(l); err != nil {
		t.Fatal(err)
	}
	deliveriesAre(t, c, want)
	l.Close()
	deliveriesAre(t, consumer(t, m.open()), want)
}

func TestWhatIsTakenHasNoDeliveries(t *testing.T) {
	m, l, c, at := delivered(t)
	if err := c.Take(at[5]); err != nil {
		t.Fatal(err)
	}
	c.NoteDelivered(at[5], 9)
	want := map[uint64]uint32{3: 3}
	deliveriesAre(t, c, want)
	l.Close()
	l = m.open()
	c = consumer(t, l)
	deliveriesAre(t, c, want)
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	deliveriesAre(t, c, nil)
}

// Each entry of the offset file in turn is damaged beyond mending.
func TestDamageNeverAddsDeliveries(t *testing.T) {
	m, l, _, _ := delivered(t)
	l.Close()
	most := map[uint64]uint32{3: 3, 6: 7}
	for at := int64(entriesAt); at < entriesAt+10*entrySize; at += entrySize {
		m := memory{m.Clone(), t}
		if err := m.Corrupt("/data/q/consumer.off", at+16, 3); err != nil {
			t.Fatal(err)
		}
		c := consumer(t, m.open())
		for seq := range uint64(20) {
			if got := c.Deliveries(seq); got > most[seq] {
				t.Errorf("item %d: got %d deliveries, want at most %d", seq, got, most[seq])
			}
		}
	}
}

// A power cut may keep a note and lose its item. Another item must not inherit it.
func TestANumberThatHasANoteIsNotUsedAgain(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 10)
	syncNow(t, l)
	before, err := m.ReadFile(m.segment())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 10, 15)
	c.NoteDelivered(wal.Position{Seq: 13}, 2)
	m = memory{m.Clone(), t}
	if err := m.WriteFile(m.segment(), before); err != nil {
		t.Fatal(err)
	}
	if _, err := examine(m.FS, "/data/q"); err != nil {
		t.Error(err)
	}
	for range 2 {
		l = m.open()
		c = consumer(t, l)
		if items, _ := c.Pending(); items != 10 || l.Stats().Damaged != 0 {
			t.Errorf("got %d items and %d damaged, want 10 and none", items, l.Stats().Damaged)
		}
		l.Close()
	}
	l = m.open()
	if p := put(t, l, "one more"); p.Seq < 14 || consumer(t, l).Deliveries(p.Seq) != 0 {
		t.Errorf("got number %d with %d deliveries, want a new one without", p.Seq,
			consumer(t, l).Deliveries(p.Seq))
	}
}

func TestNotesDoNotOutgrowTheOffsetFile(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	const n = 10_000
	fill(t, l, 0, n)
	for times := range uint32(10) {
		for seq := range uint64(n) {
			c.NoteDelivered(wal.Position{Seq: seq + 1}, times+1)
		}
		settle(l)
	}
	b, err := m.ReadFile("/data/q/consumer.off")
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 768<<10 || c.Deliveries(n) != 10 || c.Deliveries(1) != 0 {
		t.Errorf("got a file of %d bytes, %d and %d deliveries, want at most 768 KiB, 10 and 0",
			len(b), c.Deliveries(n), c.Deliveries(1))
	}
	l.Close()
	if c = consumer(t, m.open()); c.Deliveries(n) != 10 {
		t.Errorf("got %d deliveries after a restart, want 10", c.Deliveries(n))
	}
}

// Who notes nothing writes nothing for it, and neither does who notes what is known.
func TestOnlyWhatIsNewIsNoted(t *testing.T) {
	m, _, c, at := delivered(t)
	before, err := m.ReadFile("/data/q/consumer.off")
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint32(8) {
		c.NoteDelivered(at[5], n)
	}
	after, err := m.ReadFile("/data/q/consumer.off")
	if err != nil {
		t.Fatal(err)
	}
	if string(after) != string(before) {
		t.Error("the offset file has changed")
	}
}
