package queue

// Queues whose maps do not all fit into the addresses that there are.

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func TestAMapThatIsRefusedParksOtherQueuesAndIsTriedAgain(t *testing.T) {
	fs := disktest.New()
	o := small()
	o.Log.FS = fs
	r := open(t, "/data", o)
	busy := named(t, r, "busy")
	want := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", 10_000)) }
	const items = 40 // some six segments
	tight := func(do func()) {
		t.Helper()
		for i := range 8 {
			put(t, named(t, r, fmt.Sprint("idle", i)), "x")
		}
		var refused atomic.Int32
		fs.Fail(func(op disktest.Op, name string, _ int) error {
			if op == disktest.OpMap && strings.HasPrefix(name, "/data/busy/") && r.Totals().Loaded > 5 {
				refused.Add(1)
				return syscall.ENOMEM
			}
			return nil
		})
		do()
		fs.Fail(nil)
		if refused.Load() == 0 {
			t.Error("no map was refused")
		}
	}
	put(t, busy, want(0))
	tight(func() {
		for i := 1; i < items; i++ {
			put(t, busy, want(i))
		}
	})
	r = reopen(t, r)
	busy = named(t, r, "busy")
	if err := busy.Load(); err != nil {
		t.Fatal(err)
	}
	tight(func() {
		for i := range items {
			if got := take(t, busy); got != want(i) {
				t.Fatalf("item %d is %.20q", i, got)
			}
		}
	})
	if err := busy.log.Err(); err != nil {
		t.Error(err)
	}
}

// With 32 bits for real, as under .ci/emulated: maps of 64 MiB for each of many queues.
func TestManyQueuesAreServedWith32Bits(t *testing.T) {
	if strconv.IntSize != 32 {
		t.Skip("this process has addresses enough")
	}
	const queues = 60
	o := small()
	o.Log.SegmentSize = 64 << 20
	r := open(t, t.TempDir(), o)
	for i := range queues {
		put(t, named(t, r, fmt.Sprint(i)), "first", "second")
	}
	if n := r.Totals().Loaded; n == queues {
		t.Error("no queue was parked for another's maps")
	}
	for i := range queues {
		wants(t, named(t, r, fmt.Sprint(i)), "first", "second")
	}

	// Queues that are in use cannot be parked. Then a set is refused, with a reason, and nothing else.
	var held []Item
	var err error
	for i := 0; i < queues && err == nil; i++ {
		q := named(t, r, fmt.Sprint("held", i))
		if err = q.Put([]byte("x"), wal.Meta{}); err == nil {
			held = append(held, fetch(t, q))
		}
	}
	if !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "32-bit") || len(held) < 15 {
		t.Fatalf("with %d queues in use: %v", len(held), err)
	}
	for i, it := range held {
		named(t, r, fmt.Sprint("held", i)).Return(it)
	}
	put(t, named(t, r, "more"), "x")
}
