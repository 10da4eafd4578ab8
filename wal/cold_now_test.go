package wal_test

import (
	"sync/atomic"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal"
)

func TestHowSegmentsAreCompressedMayChangeWhileTheLogIsOpen(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	var now atomic.Pointer[wal.Cold]
	now.Store(&wal.Cold{})
	o.ColdNow = now.Load
	l := open(t, "/data/q", o)
	consumer(t, l)
	fillWith(t, l, 0, 3000, telemetry)
	rest(l)
	if cold := m.files(".cold"); len(cold) != 0 {
		t.Fatalf("got %d cold segments without compression, want none", len(cold))
	}
	zstd := segment.DefaultCold()
	now.Store(&zstd)
	fillWith(t, l, 3000, 6000, telemetry)
	rest(l)
	if cold := m.files(".cold"); len(cold) == 0 {
		t.Errorf("got %v after the change, want cold segments", m.Names("/data/q"))
	}
	now.Store(nil) // Cold says how
	fillWith(t, l, 6000, 6100, telemetry)
	rest(l)
}
