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

// freeze turns the first segments of many into one cold segment, without item 70, of blocks of 129
// items, and returns its path.
func freeze(t *testing.T, fsys *disktest.FS, o segment.ColdOptions) string {
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
	err := segment.WriteCold(fsys, path, sources, o, func(r *segment.Record) bool { return r.Seq != 70 }, nil)
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
		t.Errorf("got\n%.3000s", got)
	}
}

// Without parity a flipped bit costs a block.
func TestDumpNamesTheBlockThatIsLost(t *testing.T) {
	fsys := many(t)
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 70) })
	path := freeze(t, fsys, segment.ColdOptions{})
	if err := fsys.Corrupt(path, 5000, 1); err != nil {
		t.Fatal(err)
	}
	got := damages(t, fsys)
	if len(got) != 1 || !strings.HasPrefix(got[0], "1-130 - - - - damaged "+inspect.ColdName(1, 123)+" bytes 1136-") {
		t.Errorf("%q", got)
	}
	if got := firstColumn(dump(t, fsys, items.DumpOptions{Limit: 2})); got != "1-130 131" {
		t.Errorf("the first are %s", got)
	}
}

// What a cold segment was made without was taken: it is not missing, whatever happened to the offset file.
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
			t.Fatalf("%+v, %v", rec, err)
		}
	}
	if n != 199 {
		t.Errorf("%d items", n)
	}
}

// While a compaction is not finished, both forms are there: each item counts once.
func TestDumpLeavesOutWhatAColdSegmentStandsFor(t *testing.T) {
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
		t.Errorf("%d lines", lines)
	}
}

func TestRewindReachesIntoColdSegments(t *testing.T) {
	fsys := many(t)
	freeze(t, fsys, segment.ColdOptions{Codec: segment.CodecZstd, Parity: 1})
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 1, 2, 3, 4, 130, 131) })
	r, err := items.PlanRewind(fsys, queue, items.Point{Seq: 3}, noon)
	if err != nil || r.Items != 4 || r.First != 3 || r.Last != 131 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := r.Do(); err != nil {
		t.Fatal(err)
	}
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) {
		if n, _ := c.Pending(); n != 197 {
			t.Errorf("%d items are there", n)
		}
	})
	if r, err = items.PlanUndo(fsys, queue, noon); err != nil || r.Items != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
}
