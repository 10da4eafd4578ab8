package wal_test

import (
	"testing"

	"github.com/darner/darner/wal"
)

func TestTheLossOfAnOffsetFileDeletesNothingThatItsConsumerHasNotTaken(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	audit, err := l.Consumer("audit", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	const n = 3000 // some segments
	fill(t, l, 0, n)
	if got := drain(t, l, audit); len(got) != n {
		t.Fatalf("got %d items, want all", len(got))
	}
	l.Close()
	if err := m.Remove("/data/q/consumer.off"); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	settle(l) // before anybody asks for the own consumer
	l.Close()
	l = m.open()
	if got := drain(t, l, consumer(t, l)); len(got) != n {
		t.Fatalf("got %d items, want %d", len(got), n)
	}
}
