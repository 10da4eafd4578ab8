package wal_test

// A consumer that leaves a log takes its file along, and what it held back goes.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

// heldBack is a log whose own consumer has taken its n items, and another, audit, none.
func heldBack(t *testing.T, n int) (m memory, l *wal.Log, audit *wal.Consumer) {
	m = newMemory(t)
	l = m.open()
	own := consumer(t, l)
	audit = named(t, l, "audit")
	fill(t, l, 0, n)
	if got := drain(t, l, own); len(got) != n {
		t.Fatalf("own consumer: got %d items, want %d", len(got), n)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	settle(l)
	return m, l, audit
}

func TestALargeItemThatARemovedConsumerHeldBackGoesWhileOthersStay(t *testing.T) {
	m, l, _ := heldBack(t, 10)
	own := consumer(t, l)
	large(t, l, 70<<10)
	put(t, l, "stays")
	p, _, _, err := own.Next()
	if err == nil {
		err = own.Take(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	settle(l) // so that nothing but the removal requests what follows
	if bodies := m.files(".item"); len(bodies) != 1 {
		t.Fatalf("got %v, want the body that audit holds back", bodies)
	}
	if err := l.RemoveConsumer("audit"); err != nil {
		t.Fatal(err)
	}
	settle(l)
	if bodies := m.files(".item"); len(bodies) != 0 {
		t.Errorf("got %v, want no body", bodies)
	}
	if _, s := next(t, l, own); s != "stays" {
		t.Errorf("got %q, want the item that nobody has taken", s)
	}
}

func TestARemovedConsumerHoldsNothingBack(t *testing.T) {
	m, l, audit := heldBack(t, 3000)
	large(t, l, 70<<10)
	if err := consumer(t, l).SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	if segs := m.files(".seg"); len(segs) < 3 {
		t.Fatalf("got %v, want segments that audit holds back", segs)
	}
	if err := m.WriteFile("/data/q/consumer+audit.off.undo", []byte("of a rewind")); err != nil {
		t.Fatal(err)
	}
	if err := l.RemoveConsumer("audit"); err != nil {
		t.Fatal(err)
	}
	settle(l)
	if undo := m.files(".undo"); len(undo) > 0 {
		t.Errorf("got %v, want nothing of the consumer", undo)
	}
	if segs, bodies := m.files(".seg"), m.files(".item"); len(segs) > 1 || len(bodies) != 0 {
		t.Errorf("got %v and %v, want one segment that takes appends", segs, bodies)
	}
	if offs := m.files(".off"); !slices.Equal(offs, []string{"consumer.off"}) {
		t.Errorf("got %v, want the own consumer's file alone", offs)
	}
	if _, _, _, err := audit.Next(); err != wal.ErrClosed {
		t.Errorf("Next of a removed consumer: got %v, want ErrClosed", err)
	}
	if err := errors.Join(audit.Take(wal.Position{Seq: 1}), audit.SkipToEnd()); !errors.Is(err,
		wal.ErrClosed) {
		t.Errorf("Take and SkipToEnd of a removed consumer: got %v, want ErrClosed", err)
	}
	if err := l.RemoveConsumer("audit"); err != nil {
		t.Errorf("removing none: got %v, want no error", err)
	}
	if err := l.RemoveConsumer(""); err == nil {
		t.Error("removing the log's own consumer: got no error")
	}
}

func TestAConsumerThatWasRemovedBeginsAnew(t *testing.T) {
	m, l, _ := heldBack(t, 100)
	if err := l.RemoveConsumer("audit"); err != nil {
		t.Fatal(err)
	}
	audit, err := l.Consumer("audit", wal.Newest)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 100, 110)
	if got := drain(t, l, audit); len(got) != 10 || got[0] != payload(100) {
		t.Errorf("got %d items from %.20q on, want what came after it joined", len(got), got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	if got := drain(t, l, named(t, l, "audit")); len(got) != 0 {
		t.Errorf("got %d items after a restart, want none", len(got))
	}
}

func TestAReaderThatWaitsForARemovedConsumerIsCalled(t *testing.T) {
	m, l, _ := heldBack(t, 3000)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = m.open() // the segment that it comes to is not open
	audit := named(t, l, "audit")
	if _, _, _, err := audit.TryNext(); err != wal.ErrUnready {
		t.Fatalf("TryNext: got %v, want ErrUnready", err)
	}
	called := make(chan error, 1)
	audit.ReadyThen(func() {
		_, _, _, err := audit.TryNext()
		called <- err
	})
	if err := l.RemoveConsumer("audit"); err != nil {
		t.Fatal(err)
	}
	if err := <-called; err != nil && err != wal.ErrClosed {
		t.Error(err)
	}
}

// A power cut finds the consumer with all that it had yet to take, or without its file.
func TestAConsumerIsGoneForGoodBeforeWhatItHeldBackIs(t *testing.T) {
	const n = 2000
	m, l, _ := heldBack(t, n)
	removed := false
	var gone atomic.Bool // RemoveConsumer has returned
	cutAt(t, m, func(op disktest.Op, name string) bool {
		removed = removed || op == disktest.OpRemove && strings.HasSuffix(name, ".seg")
		return op == disktest.OpRemove || op == disktest.OpSyncDir || gone.Load()
	}, func() {
		if err := l.RemoveConsumer("audit"); err != nil {
			t.Fatal(err)
		}
		gone.Store(true)
		rest(l)
	}, func(m memory) {
		l, said := m.openRecording()
		has := slices.Contains(m.files(".off"), "consumer+audit.off")
		own := drain(t, l, consumer(t, l))
		if len(own) > 0 {
			t.Errorf("got %d items again, want none that was taken and synced", len(own))
		}
		if has {
			if got := drain(t, l, named(t, l, "audit")); len(got) != n || got[0] != payload(0) ||
				got[n-1] != payload(n-1) {
				t.Errorf("audit is there after the cut: got %d items, want %d", len(got), n)
			}
		}
		if s := l.Stats(); s.Damaged > 0 {
			t.Errorf("got %d damaged and the errors %q, want none", s.Damaged, said())
		}
		l.Close()
		if _, err := examine(m.FS, "/data/q"); err != nil {
			t.Error(err)
		}
	})
	if !removed {
		t.Error("no segment was deleted: this test shows nothing")
	}
}

func TestAPowerCutAfterAConsumerWasRemovedDoesNotBringItBack(t *testing.T) {
	m, l, _ := heldBack(t, 100)
	var gone atomic.Bool
	cutAt(t, m, func(disktest.Op, string) bool { return gone.Load() }, func() {
		if err := l.RemoveConsumer("audit"); err != nil {
			t.Fatal(err)
		}
		gone.Store(true)
		fill(t, l, 100, 200)
		l.Sync()
	}, func(m memory) {
		if offs := m.files(".off"); !slices.Equal(offs, []string{"consumer.off"}) {
			t.Errorf("got %v, want the own consumer's file alone", offs)
		}
	})
}

func TestAConsumerThatCannotBeRemovedStays(t *testing.T) {
	for _, op := range []disktest.Op{disktest.OpRemove, disktest.OpSyncDir} {
		t.Run(fmt.Sprint(op), func(t *testing.T) {
			m, l, audit := heldBack(t, 1000)
			const had = 100
			for range had {
				p, _ := next(t, l, audit)
				if err := audit.Take(p); err != nil {
					t.Fatal(err)
				}
			}
			m.Fail(func(o disktest.Op, name string, _ int) error {
				if o == op && (o != disktest.OpRemove || strings.HasSuffix(name, "audit.off")) {
					return syscall.EMFILE
				}
				return nil
			})
			if err := l.RemoveConsumer("audit"); !errors.Is(err, syscall.EMFILE) {
				t.Fatalf("got %v, want EMFILE", err)
			}
			m.Fail(nil)
			settle(l)
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
			after := memory{m.Clone(), t}
			for _, l := range []*wal.Log{l, after.open()} {
				if got := drain(t, l, named(t, l, "audit")); len(got) != 1000-had ||
					got[0] != payload(had) {
					t.Errorf("got %d items, want the %d that were left", len(got), 1000-had)
				}
			}
		})
	}
}

func TestAConsumerIsRemovedWhileCompactionRuns(t *testing.T) {
	m := newMemory(t)
	l := openCold(m)
	own := consumer(t, l)
	const n = 6000
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				rest(l)
			}
		}
	})
	took := make(map[string]bool)
	for round := range n / 300 {
		audit, err := l.Consumer("audit", wal.Newest)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, l, round*300, round*300+300)
		all.Go(func() { // in the middle of what is compacted, and of the consumer's end
			for i := 0; ; i++ {
				p, _, ok, err := audit.Next()
				if err == wal.ErrClosed || !ok {
					return
				}
				if i%3 == 0 {
					_ = audit.Take(p)
				}
			}
		})
		for i := range 300 {
			p, text := next(t, l, own)
			if i%7 > 0 || round%2 == 0 {
				took[text] = true
				if err := own.Take(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.RemoveConsumer("audit"); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openCold(m)
	left := drain(t, l, consumer(t, l))
	for _, text := range left {
		if took[text] {
			t.Fatalf("got %q again", text)
		}
	}
	if s := l.Stats(); len(left)+len(took) != n || s.Damaged > 0 {
		t.Errorf("got %d taken and %d left, want %d in all; got %d damaged, want none",
			len(took), len(left), n, s.Damaged)
	}
	if offs := m.files(".off"); !slices.Equal(offs, []string{"consumer.off"}) {
		t.Errorf("got %v, want the own consumer's file alone", offs)
	}
	settle(l)
	l.Close()
	if _, err := examine(m.FS, "/data/q"); err != nil {
		t.Error(err)
	}
}
