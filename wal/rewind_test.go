package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/inspect"
)

// rewound is a log for these tests: what was done to it, by sequence number.
type rewound struct {
	t   *testing.T
	fs  disk.FS
	o   wal.Options
	dir string
	l   *wal.Log
	c   *wal.Consumer

	damaged bool // so that bytes cannot be counted
}

func newRewound(t *testing.T, fsys *disktest.FS) *rewound {
	t.Helper()
	if err := fsys.WriteFile("data/.lock", nil); err != nil { // the data directory is durable
		t.Fatal(err)
	}
	w := &rewound{t: t, fs: fsys, dir: "data/q",
		o: wal.WithOffsetCapacity(wal.Options{FS: fsys, Cold: &wal.Cold{},
			SegmentSize: wal.MinSegmentSize, SyncEvery: wal.SyncNever, Logger: quiet()}, 64<<10)}
	w.open()
	return w
}

func (w *rewound) open() {
	w.t.Helper()
	w.l = open(w.t, w.dir, w.o)
	w.c = consumer(w.t, w.l)
}

// close leaves no segment that is taken.
func (w *rewound) close() {
	w.t.Helper()
	settle(w.l)
	if err := w.l.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// items appends n items of 1,000 bytes: 61 fill a segment.
func (w *rewound) items(n int) {
	w.t.Helper()
	for range n {
		if _, err := w.l.Append(make([]byte, 1000),
			wal.Meta{Enqueued: 1, Expires: 50}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// take takes the items for which yes is true, of all that there are.
func (w *rewound) take(yes func(seq uint64) bool) {
	w.t.Helper()
	for {
		p, _, ok, err := w.c.Next()
		if err != nil {
			w.t.Fatal(err)
		}
		if !ok {
			return
		}
		if yes(p.Seq) {
			if err := w.c.Take(p); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// left opens the log and returns what it hands out; nothing may be lost.
func (w *rewound) left() (seqs []uint64) {
	w.t.Helper()
	w.open()
	defer w.close()
	items, bytes := w.c.Pending()
	for {
		p, _, ok, err := w.c.Next()
		if err != nil {
			w.t.Fatal(err)
		}
		if !ok {
			break
		}
		seqs = append(seqs, p.Seq)
		bytes -= p.Size
	}
	if int64(len(seqs)) != items || bytes != 0 && !w.damaged {
		w.t.Errorf("want %d items as pending, got %d; the bytes differ by %d",
			items, len(seqs), bytes)
	}
	if s := w.l.Stats(); s.Damaged > 0 {
		w.t.Errorf("got %d lost items, want none", s.Damaged)
	}
	return seqs
}

func (w *rewound) inspected() *inspect.Inspection {
	w.t.Helper()
	in, err := inspect.Open(w.fs, w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *rewound) plan(from uint64) *inspect.Rewind {
	w.t.Helper()
	r, err := w.inspected().PlanRewind("", from, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *rewound) undo() *inspect.Rewind {
	w.t.Helper()
	r, err := w.inspected().PlanUndo("", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *rewound) do(r *inspect.Rewind) {
	w.t.Helper()
	if err := r.Do(); err != nil {
		w.t.Fatal(err)
	}
}

func numbers(from, to uint64) (all []uint64) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

func (w *rewound) expect(want []uint64) {
	w.t.Helper()
	if got := w.left(); !slices.Equal(got, want) {
		w.t.Fatalf("got %v, want %v", got, want)
	}
}

func TestRewindPutsBackWhatIsStillOnDisk(t *testing.T) {
	w := newRewound(t, disktest.New())
	w.items(200) // segments begin with 1, 62, 123, 184
	w.take(func(seq uint64) bool { return seq <= 80 || seq == 150 || seq == 152 || seq == 153 })
	w.close()
	former := slices.Concat(numbers(81, 149), []uint64{151}, numbers(154, 200))

	r := w.plan(0)
	if r.Items != 19+3 || r.Bytes != 22_000 || r.First != 62 || r.Last != 153 || r.Expired != 22 ||
		r.Bodiless != 0 {
		t.Fatalf("got the plan %+v", *r)
	}
	w.expect(former) // a plan changes nothing
	w.do(w.plan(0))
	w.expect(numbers(62, 200))
	u := w.undo()
	if u.Items != 22 || u.First != 62 || u.Last != 153 {
		t.Fatalf("got the undo %+v", *u)
	}
	w.do(u)
	w.expect(former)
	if _, err := w.inspected().PlanUndo("", 0); !errors.Is(err, inspect.ErrNoUndo) {
		t.Errorf("a second undo: got %v, want ErrNoUndo", err)
	}

	w.do(w.plan(75))
	w.expect(numbers(75, 200))
	w.do(w.undo())
	w.do(w.plan(152)) // above the head
	w.expect(slices.Concat(numbers(81, 149), numbers(151, 200)))
	w.do(w.undo())
	w.expect(former)
}

// A second rewind leaves the first as undoable as it was, whatever was taken in between.
func TestUndoUndoesAllRewinds(t *testing.T) {
	w := newRewound(t, disktest.New())
	w.items(60)
	w.take(func(seq uint64) bool { return seq <= 20 })
	w.close()
	w.do(w.plan(11))
	w.do(w.plan(5))
	w.expect(numbers(5, 60))
	w.do(w.undo())
	w.expect(numbers(21, 60))

	w.do(w.plan(15))
	w.open()
	w.take(func(seq uint64) bool { return seq <= 25 })
	w.close()
	w.do(w.plan(18))
	w.expect(numbers(18, 60))
	w.do(w.undo())
	w.expect(numbers(26, 60))
	if _, err := w.inspected().PlanUndo("", 0); !errors.Is(err, inspect.ErrNoUndo) {
		t.Errorf("a second undo: got %v, want ErrNoUndo", err)
	}
}

// An undo takes nothing back that was taken since the rewind.
func TestUndoKeepsWhatWasTakenSince(t *testing.T) {
	w := newRewound(t, disktest.New())
	w.items(60)
	w.take(func(seq uint64) bool { return seq <= 20 })
	w.close()
	w.do(w.plan(11))
	w.open()
	w.take(func(seq uint64) bool { return seq == 12 || seq == 40 })
	w.close()
	if u := w.undo(); u.Items != 9 {
		t.Errorf("got %d items to take again, want 9", u.Items)
	}
	w.do(w.undo())
	w.expect(slices.Concat(numbers(21, 39), numbers(41, 60)))
}

func TestRewindLeavesLargeItemsWithoutBodiesTaken(t *testing.T) {
	w := newRewound(t, disktest.New())
	large := bytes.Repeat([]byte("large"), 50_000)
	for range 3 {
		u, err := w.l.BeginLarge(int64(len(large)), wal.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(large); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Commit(); err != nil {
			t.Fatal(err)
		}
		w.items(1)
	}
	w.take(func(seq uint64) bool { return seq <= 4 })
	w.close()
	r := w.plan(0)
	if r.Items != 2 || r.Bodiless != 2 {
		t.Fatalf("got the plan %+v", *r)
	}
	w.do(r)
	w.expect([]uint64{2, 4, 5, 6})
	w.open()
	defer w.close()
	for range 3 {
		p, _, _, err := w.c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if p.Seq == 5 {
			body, err := w.l.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, large) {
				t.Errorf("the body that was not taken: got %d bytes, %v", len(got), err)
			}
			body.Close()
		}
	}
}

// What was taken and can no longer be read stays taken: it was not lost.
func TestRewindStepsOverDamage(t *testing.T) {
	fsys := disktest.New()
	w := newRewound(t, fsys)
	w.items(60)
	w.take(func(seq uint64) bool { return seq <= 20 || seq == 30 })
	w.close()
	w.damaged = true
	for _, seq := range []int64{5, 6, 30} {
		if err := fsys.Corrupt("data/q/"+inspect.SegmentName(1), 1024+1040*(seq-1)+100,
			3); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.plan(0); r.Items != 18 {
		t.Fatalf("got %d items to come back, want 18", r.Items)
	}
	w.do(w.plan(0))
	w.expect(slices.Concat(numbers(1, 4), numbers(7, 29), numbers(31, 60)))
}

func TestNothingTakenIsNothingToRewind(t *testing.T) {
	w := newRewound(t, disktest.New())
	w.items(10)
	w.close()
	r := w.plan(0)
	if r.Items != 0 {
		t.Errorf("got %d items, want none", r.Items)
	}
	w.do(r)
	w.expect(numbers(1, 10))
	if _, err := w.inspected().PlanUndo("", 0); !errors.Is(err, inspect.ErrNoUndo) {
		t.Errorf("got %v, want ErrNoUndo", err)
	}
}

// A rewind or an undo that a power cut, a kill or an error ends at any call has been made or not.
func TestRewindIsAtomic(t *testing.T) {
	for _, end := range []string{"power cut", "kill", "error"} {
		for _, undo := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,undo=%v",
				end, undo), func(t *testing.T) { breakRewind(t, end, undo) })
		}
	}
}

func breakRewind(t *testing.T, end string, undo bool) {
	taken := func(seq uint64) bool { return seq <= 20 || seq == 30 || seq == 32 }
	before := slices.Concat(numbers(21, 29), []uint64{31}, numbers(33, 60))
	after := numbers(8, 60)
	start := disktest.New()
	w := newRewound(t, start)
	w.items(60)
	w.take(taken)
	w.close()
	old, fresh := before, after
	if undo {
		w.do(w.plan(8))
		old, fresh = after, before
	}
	for cut := 1; ; cut++ {
		fsys := start.Clone()
		w.fs, w.o.FS = fsys, fsys
		plan := w.plan(8)
		if undo {
			plan = w.undo()
		}
		var image *disktest.FS
		fsys.Fail(func(_ disktest.Op, _ string, n int) error {
			switch {
			case n != cut:
				return nil
			case end == "power cut":
				image = fsys.Crash(rand.New(rand.NewPCG(uint64(cut), 1)))
			case end == "kill":
				image = fsys.Clone()
			case end == "error":
				image = fsys
				return errors.New("the disk says no")
			}
			return nil
		})
		err := plan.Do()
		fsys.Fail(nil)
		if err != nil && end != "error" {
			t.Fatal(err)
		}
		if image == nil {
			if cut < 10 {
				t.Fatalf("got only %d calls", cut)
			}
			return
		}
		w.fs, w.o.FS = image, image
		got := w.left()
		if !slices.Equal(got, old) && !slices.Equal(got, fresh) {
			t.Fatalf("call %d: got %v, want the items from before or after", cut, got)
		}
		if end == "error" && err == nil && !slices.Equal(got, fresh) {
			t.Fatalf("call %d: got no error though nothing was done", cut)
		}
		if slices.Equal(got, after) {
			w.do(w.undo())
			w.expect(before)
		}
	}
}

// An offset file whose rewrite was interrupted is two; an undo brings back what both say.
func TestRewindUnitesAnInterruptedRewrite(t *testing.T) {
	fsys := disktest.New()
	w := newRewound(t, fsys)
	w.items(60)
	w.take(func(seq uint64) bool { return seq <= 20 })
	w.close()
	file := filepath.Join(w.dir, "consumer.off")
	older, err := fsys.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.open()
	w.take(func(seq uint64) bool { return seq <= 30 })
	w.close()
	newer, err := fsys.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fsys.WriteFile(file, older)
	fsys.WriteFile(file+".new", newer)
	if r := w.plan(0); r.Items != 30 {
		t.Fatalf("got %d items to come back, want 30", r.Items)
	}
	w.do(w.plan(0))
	w.expect(numbers(1, 60))
	w.do(w.undo())
	w.expect(numbers(31, 60))
}
