package queue

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestTheStatusIsKeptAcrossAPowerCut(t *testing.T) {
	for seed := range uint64(20) {
		fs := disktest.New()
		o := timed()
		o.Log.FS = fs
		r := open(t, "data", o)
		for _, word := range []string{"", "READONLY", "QUIESCENT"} {
			if word != "" {
				if err := r.WriteStatus(word); err != nil {
					t.Fatal(err)
				}
			}
			again := o.fresh()
			again.Log.FS = fs.Crash(rand.New(rand.NewPCG(seed, 1)))
			got, err := open(t, "data", again).ReadStatus()
			if err != nil || got != word {
				t.Fatalf("seed %d: got %q, %v, want %q", seed, got, err, word)
			}
		}
	}
}

func TestAStatusThatCannotBeWrittenLeavesTheOneBefore(t *testing.T) {
	fs := disktest.New()
	o := timed()
	o.Log.FS = fs
	r := open(t, "data", o)
	if err := r.WriteStatus("READONLY"); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space")
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpWrite && strings.Contains(name, ".status") {
			return full
		}
		return nil
	})
	if err := r.WriteStatus("UP"); !errors.Is(err, full) {
		t.Errorf("got %v, want that there is no space", err)
	}
	if got, err := r.ReadStatus(); got != "READONLY" || err != nil {
		t.Errorf("got %q, %v, want READONLY", got, err)
	}
}

func TestWaitsEndInAllQueues(t *testing.T) {
	r := open(t, t.TempDir(), small())
	a, b, nobody := named(t, r, "a"), named(t, r, "b"), named(t, r, "nobody")
	put(t, a, "1")
	put(t, b, "2")
	take(t, a)
	take(t, b)
	one, _ := waitIn(t, a, nobody)
	two, _ := waitIn(t, b)
	three, woken := waitIn(t, nobody)
	r.EndWaits()
	<-woken
	for _, w := range []*Waiter{one, two, three} {
		if !w.Done() {
			t.Error("got a waiter that waits, want its wait ended")
		}
		if _, _, ok := w.Stop(); ok {
			t.Error("got an item, want none")
		}
	}
	put(t, a, "3")
	wants(t, a, "3")
	again, _ := waitIn(t, b) // waits that begin later are others
	put(t, b, "4")
	wantClaim(t, again, b, "4")
}
