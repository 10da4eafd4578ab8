package items_test

import (
	"strings"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/inspect"
)

// freeze turns the first segments of many into one cold segment, and returns its path. It leaves
// out item 70. A block has 129 items.
func freeze(t *testing.T, fsys *disktest.FS, o segment.ColdOptions) string {
	t.Helper()
	return freezeWith(t, fsys, o, func(r *segment.Record) bool { return r.Seq != 70 })
}

func freezeWith(
	t *testing.T, fsys *disktest.FS, o segment.ColdOptions, keep func(*segment.Record) bool,
) string {
	t.Helper()
	var sources []*segment.Segment
	for _, first := range []uint64{1, 62, 123} {
		s, _, err := segment.Open(fsys, "data/q/"+inspect.SegmentName(first), segment.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sources = append(sources, s)
	}
	path := "data/q/" + inspect.ColdName(1, 123)
	err := segment.WriteCold(fsys, path, sources, o, keep, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		fsys.Remove(s.Path())
	}
	return path
}

func TestDumpReadsColdSegments(t *testing.T) {
	fsys := many(t)
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 5, 70) })
	var want []string
	for line := range strings.Lines(dump(t, fsys, items.DumpOptions{})) {
		if !strings.HasPrefix(line, "        70 ") {
			want = append(want, line)
		}
	}
	freeze(t, fsys, segment.ColdOptions{Codec: segment.CodecZstd, Parity: 1})
	if got := dump(t, fsys, items.DumpOptions{}); got != strings.Join(want, "") {
		t.Errorf("got\n%.3000s\nwant\n%.3000s", got, strings.Join(want, ""))
	}
}

func TestDumpSaysWhenAnItemIsDueAndForWhom(t *testing.T) {
	fsys := many(t)
	logged(t, fsys, func(*wal.Log, *wal.Consumer) {})
	freezeWith(t, fsys, segment.DefaultCold(), func(r *segment.Record) bool {
		r.Due, r.Consumer = 1700000000000*int64(r.Seq&1), uint16(r.Seq&2)
		return true
	})
	got := dump(t, fsys, items.DumpOptions{Limit: 4})
	for _, line := range []string{
		"due 2023-11-14T22:13:20.000Z  x", "live     for consumer 2  x",
		"due 2023-11-14T22:13:20.000Z  for consumer 2  x", "live     x",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("got\n%s\nwant %q in it", got, line)
		}
	}
}

// Without parity, damage of more than one bit costs a block.
func TestDumpNamesTheBlockThatIsLost(t *testing.T) {
	fsys := many(t)
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 70) })
	path := freeze(t, fsys, segment.ColdOptions{})
	if err := fsys.Corrupt(path, 5000, 0x5a); err != nil {
		t.Fatal(err)
	}
	got := damages(t, fsys)
	want := "1-130 - - - - damaged " + inspect.ColdName(1, 123) + " bytes 1152-"
	if len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("got %q, want items 1 to 130", got)
	}
	if got := firstColumn(dump(t, fsys, items.DumpOptions{Limit: 2})); got != "1-130 131" {
		t.Errorf("got the first records %s, want 1-130 131", got)
	}
}

// Items that were left out of a cold segment were taken. They are not missing, even if the offset
// file is damaged.
func TestDumpMissesNothingInAColdSegment(t *testing.T) {
	fsys := many(t)
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 70) })
	freeze(t, fsys, segment.ColdOptions{})
	if err := fsys.WriteFile("data/q/consumer.off", []byte(strings.Repeat("?", 4096))); err != nil {
		t.Fatal(err)
	}
	r, err := items.Read(fsys, queue, noon)
	if err != nil || r.Warning == nil {
		t.Fatalf("got %v and the warning %v, want a warning", err, r.Warning)
	}
	n := 0
	for rec, err := range r.Records() {
		if n++; err != nil || rec.State == items.Damaged {
			t.Fatalf("got %+v, %v; want no damage", rec, err)
		}
	}
	if n != 199 {
		t.Errorf("got %d items, want 199", n)
	}
}

// During a compaction an item may be in two segments. It counts once.
func TestDumpLeavesOutWhatAColdSegmentReplaces(t *testing.T) {
	fsys := many(t)
	old, err := fsys.ReadFile("data/q/" + inspect.SegmentName(62))
	if err != nil {
		t.Fatal(err)
	}
	path := freeze(t, fsys, segment.ColdOptions{})
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 70) })
	fsys.WriteFile("data/q/"+inspect.SegmentName(62), old)
	fsys.WriteFile(path+".new", []byte("?"))
	if lines := strings.Count(dump(t, fsys, items.DumpOptions{}), "\n"); lines != 1+199 {
		t.Errorf("got %d lines, want 200", lines)
	}
}

func TestRewindReachesIntoColdSegments(t *testing.T) {
	fsys := many(t)
	freeze(t, fsys, segment.ColdOptions{Codec: segment.CodecZstd, Parity: 1})
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 1, 2, 3, 4, 130, 131) })
	r, err := items.PlanRewind(fsys, queue, items.Point{Seq: 3}, noon)
	if err != nil || r.Items != 4 || r.First != 3 || r.Last != 131 {
		t.Fatalf("got %+v, %v; want 4 items from 3 to 131", r, err)
	}
	if err := r.Do(); err != nil {
		t.Fatal(err)
	}
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) {
		if n, _ := c.Pending(); n != 197 {
			t.Errorf("got %d items in the queue, want 197", n)
		}
	})
	if r, err = items.PlanUndo(fsys, queue, noon); err != nil || r.Items != 4 {
		t.Fatalf("got %+v, %v; want 4 items", r, err)
	}
}
