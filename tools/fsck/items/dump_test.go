package items_test

import (
	"bufio"
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

// noon is when these tests begin. The n-th item was set n seconds later.
var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

var queue = datadir.Queue{Name: "q", Path: "data/q"}

// logged calls fn with the queue's log. Its segments are not compressed.
func logged(t *testing.T, fsys *disktest.FS, fn func(l *wal.Log, c *wal.Consumer)) {
	t.Helper()
	l, err := wal.Open(queue.Path, wal.Options{FS: fsys, SegmentSize: wal.MinSegmentSize,
		InlineMax: 4000, SyncEvery: wal.SyncNever, Cold: &segment.ColdOptions{},
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Consumer("", wal.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	fn(l, c)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func set(t *testing.T, l *wal.Log, payload string, m wal.Meta) {
	t.Helper()
	if len(payload) <= 4000 {
		if _, err := l.Append([]byte(payload), m); err != nil {
			t.Fatal(err)
		}
		return
	}
	w, err := l.BeginLarge(int64(len(payload)), m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(payload)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// take takes the items with these numbers.
func take(t *testing.T, c *wal.Consumer, seqs ...uint64) {
	t.Helper()
	for {
		p, _, ok, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		for _, s := range seqs {
			if s == p.Seq {
				if err := c.Take(p); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// at returns a time after noon, in Unix ms.
func at(second int64) int64 { return noon.UnixMilli() + second*1000 }

// small makes a queue with a few items: 1 and 3 are taken, 4 has expired, 6 is large.
func small(t *testing.T) *disktest.FS {
	t.Helper()
	fsys := disktest.New()
	logged(t, fsys, func(l *wal.Log, c *wal.Consumer) {
		set(t, l, "one", wal.Meta{Enqueued: at(1), Flags: 7})
		set(t, l, "zwölf \\ \"\x00\xff\n", wal.Meta{Enqueued: at(2)})
		set(t, l, "three", wal.Meta{Enqueued: at(3)})
		set(t, l, "four", wal.Meta{Enqueued: at(4), Expires: at(10)})
		set(t, l, "", wal.Meta{Enqueued: at(5), Expires: at(1000)})
		set(t, l, strings.Repeat("large ", 1000), wal.Meta{Enqueued: at(6)})
		take(t, c, 1, 3)
	})
	return fsys
}

func dump(t *testing.T, fsys *disktest.FS, o items.DumpOptions) string {
	t.Helper()
	r, err := items.Read(fsys, queue, noon.Add(100*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if r.Warning != nil {
		t.Errorf("got the warning %v, want none", r.Warning)
	}
	var b strings.Builder
	if err := r.Dump(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDumpWritesAllAboutEachItem(t *testing.T) {
	const want = `
  sequence  set                       expires                        flags        size  state    payload
         1  2026-01-31T12:00:01.000Z  -                                  7           3  taken    one
         2  2026-01-31T12:00:02.000Z  -                                  0          13  live     zwölf \\ "\x00\xff\n
         3  2026-01-31T12:00:03.000Z  -                                  0           5  taken    three
         4  2026-01-31T12:00:04.000Z  2026-01-31T12:00:10.000Z           0           4  expired  four
         5  2026-01-31T12:00:05.000Z  2026-01-31T12:16:40.000Z           0           0  live     
         6  2026-01-31T12:00:06.000Z  -                                  0        6000  live     `
	got := "\n" + dump(t, small(t), items.DumpOptions{})
	if got != want+strings.Repeat("large ", 1000)+"\n" {
		t.Errorf("got\n%.1500s\nwant\n%s", got, want)
	}
}

func TestDumpSaysWhenAnItemIsDueAndWhereItCameFrom(t *testing.T) {
	fsys := disktest.New()
	logged(t, fsys, func(l *wal.Log, _ *wal.Consumer) {
		set(t, l, "here", wal.Meta{Enqueued: at(1)})
		put := func(payload string, second int64, more wal.More) {
			set(t, l, payload, wal.Meta{Enqueued: at(second), More: &more})
		}
		put("later", 2, wal.More{Due: at(60)})
		put("dead", 3, wal.More{Origin: &wal.Origin{
			Log: "jobs", Seq: 41, Why: wal.Undeliverable, Deliveries: 5,
		}})
		put("old", 4, wal.More{Due: at(61), Origin: &wal.Origin{
			Log: "a\nb", Seq: 42, Why: wal.Expired,
		}})
		put(strings.Repeat("large ", 1000), 5, wal.More{Origin: new(wal.Origin)})
	})
	got := dump(t, fsys, items.DumpOptions{})
	for _, want := range []string{
		"live     here\n",
		"live     due 2026-01-31T12:01:00.000Z  later\n",
		"live     from jobs, item 41, undeliverable after 5 deliveries  dead\n",
		"live     due 2026-01-31T12:01:01.000Z  from \"a\\nb\", item 42, expired  old\n",
		"live     moved here, from where is not known  large large ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%.1500s\nwant in it %q", got, want)
		}
	}
}

func TestDumpSaysHowOftenItemsWereDelivered(t *testing.T) {
	fsys := disktest.New()
	logged(t, fsys, func(l *wal.Log, c *wal.Consumer) {
		for _, payload := range []string{"one", "two", "three"} {
			set(t, l, payload, wal.Meta{Enqueued: at(1)})
		}
		c.NoteDelivered(wal.Position{Seq: 2}, 12)
	})
	const want = `
  sequence  set                         size  state    delivered  payload
         1  2026-01-31T12:00:01Z           3  live             -  one
         2  2026-01-31T12:00:01Z           3  live            12  two
         3  2026-01-31T12:00:01Z           5  live             -  three
`
	if got := "\n" + dump(t, fsys, items.DumpOptions{Width: 80}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDumpWritesPayloadsAsAsked(t *testing.T) {
	for as, want := range map[items.PayloadAs]string{items.AsHex: "7a77c3b66c66205c202200ff0a",
		items.AsBase64: "enfDtmxmIFwgIgD/Cg=="} {
		got := strings.Fields(dump(t, small(t),
			items.DumpOptions{From: items.Point{Seq: 2}, Limit: 1, As: as}))
		if got[len(got)-1] != want {
			t.Errorf("%s: got %s, want %s", as, got[len(got)-1], want)
		}
	}
}

func TestDumpChooses(t *testing.T) {
	fsys := small(t)
	seq := func(n uint64) *items.Point { return &items.Point{Seq: n} }
	second := func(n int64) *items.Point { return &items.Point{Time: at(n)} }
	for _, c := range []struct {
		o    items.DumpOptions
		want string
	}{
		{items.DumpOptions{From: *seq(4)}, "4 5 6"},
		{items.DumpOptions{From: *seq(2), To: seq(4)}, "2 3 4"},
		{items.DumpOptions{From: *second(3), To: second(4)}, "3 4"},
		{items.DumpOptions{States: []items.State{items.Taken}}, "1 3"},
		{items.DumpOptions{States: []items.State{items.Live, items.Expired}, Limit: 3}, "2 4 5"},
		{items.DumpOptions{From: *seq(7)}, ""},
	} {
		if got := firstColumn(dump(t, fsys, c.o)); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.o, got, c.want)
		}
	}
}

func firstColumn(dump string) string {
	var column []string
	for line := range strings.Lines(dump) {
		column = append(column, strings.Fields(line)[0])
	}
	return strings.Join(column[1:], " ")
}

// many makes a queue of three segments with 61 items each, and a fourth.
func many(t *testing.T) *disktest.FS {
	t.Helper()
	fsys := disktest.New()
	logged(t, fsys, func(l *wal.Log, c *wal.Consumer) {
		for i := range 200 {
			set(t, l, strings.Repeat("x", 1000), wal.Meta{Enqueued: at(int64(i + 1))})
		}
	})
	return fsys
}

// damages returns the lines of a dump about damage.
func damages(t *testing.T, fsys *disktest.FS) (lines []string) {
	t.Helper()
	for line := range strings.Lines(dump(t, fsys,
		items.DumpOptions{States: []items.State{items.Damaged}})) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines[1:]
}

func TestDumpNamesWhatIsDamaged(t *testing.T) {
	fsys := many(t)
	first, second := "data/q/"+inspect.SegmentName(1), "data/q/"+inspect.SegmentName(62)
	// Items 5, 6 and 61.
	for _, at := range []int64{1024 + 1040*4 + 500, 1024 + 1040*5 + 500, 1024 + 1040*60 + 500} {
		if err := fsys.Corrupt(first, at, 3); err != nil {
			t.Fatal(err)
		}
	}
	fsys.Corrupt(second, 1024+1040+500, 3) // item 63
	got := damages(t, fsys)
	want := []string{
		"5-6 - - - - damaged 00000000000000000001.seg bytes 5184-7264:",
		"61 - - - - damaged 00000000000000000001.seg bytes 63424-64464:",
		"63 - - - - damaged 00000000000000000062.seg bytes 2064-3104:",
	}
	if len(got) != len(want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

func TestDumpNamesWhatIsMissing(t *testing.T) {
	for name, damage := range map[string]func(fsys *disktest.FS, segment string) error{
		"62-122 - - - - damaged no file holds these items": func(fsys *disktest.FS,
			s string) error {
			return fsys.Remove(s)
		},
		"62-122 - - - - damaged 00000000000000000062.seg bytes 0-9: segment data/q/00000000000000000062.seg: open: not a segment": func(fsys *disktest.FS, s string) error {
			return fsys.WriteFile(s, []byte("something"))
		},
	} {
		fsys := many(t)
		if err := damage(fsys, "data/q/"+inspect.SegmentName(62)); err != nil {
			t.Fatal(err)
		}
		if got := damages(t, fsys); len(got) != 1 || got[0] != name {
			t.Errorf("got  %q\nwant %q", got, name)
		}
	}
	fsys := many(t)
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) { take(t, c, 1) })
	fsys.Remove("data/q/" + inspect.SegmentName(1))
	if got := damages(t, fsys); len(got) != 1 || !strings.HasPrefix(got[0], "2-61 ") {
		t.Errorf("the first segment is missing: got %q, want items 2 to 61", got)
	}
	fsys = small(t)
	fsys.Remove("data/q/" + inspect.BodyName(6))
	if got := damages(t, fsys); len(got) != 1 || !strings.HasPrefix(got[0], "6 - - - - damaged ") {
		t.Errorf("a body is missing: got %q, want item 6", got)
	}
}

// Damage in a body is found only when it is read. A dump writes what can be read, and why it ends.
func TestDumpSaysWhereABodyEnds(t *testing.T) {
	fsys := disktest.New()
	logged(t, fsys,
		func(l *wal.Log, _ *wal.Consumer) { set(t, l, strings.Repeat("x", 100_000), wal.Meta{}) })
	if err := fsys.Corrupt("data/q/"+inspect.BodyName(1), 80_000, 3); err != nil {
		t.Fatal(err)
	}
	got := dump(t, fsys, items.DumpOptions{})
	if n := strings.Count(got, "x"); n < 65536 || n > 65540 ||
		!strings.Contains(got, "chunk 1: item is damaged)\n") {
		t.Errorf("got %d bytes, then %s; want one chunk, then the damage", n,
			strings.Trim(got, "x"))
	}
}

func TestDumpWithoutOffsetsWarns(t *testing.T) {
	fsys := small(t)
	if err := fsys.WriteFile("data/q/consumer.off", bytes.Repeat([]byte{1}, 4096)); err != nil {
		t.Fatal(err)
	}
	r, err := items.Read(fsys, queue, noon)
	if err != nil || r.Warning == nil {
		t.Fatalf("got %v and the warning %v, want a warning", err, r.Warning)
	}
	var b strings.Builder
	if err := r.Dump(&b, items.DumpOptions{}); err != nil || strings.Contains(b.String(), "taken") {
		t.Errorf("got %v and\n%.1000s\nwant nothing taken", err, b.String())
	}
}

func TestDumpCutsPayloadsToFit(t *testing.T) {
	fsys := small(t)
	logged(t, fsys, func(l *wal.Log, _ *wal.Consumer) {
		set(t, l, strings.Repeat("ä", 25), wal.Meta{Enqueued: at(1)})
		set(t, l, strings.Repeat("ä", 26), wal.Meta{Enqueued: at(1)})
		set(t, l, strings.Repeat("x", 100_000), wal.Meta{Enqueued: at(1)})
		set(t, l, strings.Repeat("\n", 50), wal.Meta{Enqueued: at(1)})
	})
	got := dump(t, fsys, items.DumpOptions{Width: 80})
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("got %d columns: %s", n, line)
		}
	}
	for _, want := range []string{
		"  live     " + strings.Repeat("ä", 25) + "\n", "  live     " + strings.Repeat("ä", 24) + "…\n",
		"      100000  live     " + strings.Repeat("x", 24) + "…\n",
		`  live     ` + strings.Repeat(`\n`, 12) + "…\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}

func TestDumpReportsAFullOutput(t *testing.T) {
	r, err := items.Read(many(t), queue, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Dump(brokenWriter{}, items.DumpOptions{}); err == nil {
		t.Error("got no error, want that of the writer")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, bufio.ErrBufferFull }

func TestPointsAreParsed(t *testing.T) {
	now := noon.Local()
	for in, want := range map[string]items.Point{
		"oldest":                       {},
		"17":                           {Seq: 17},
		"90m":                          {Time: noon.Add(-90 * time.Minute).UnixMilli()},
		"2026-01-31T12:00:00Z":         {Time: noon.UnixMilli()},
		now.Format("2006-01-02 15:04"): {Time: noon.UnixMilli()},
		now.Format("2006-01-02T15:04"): {Time: noon.UnixMilli()},
		"2026-01-31T14:00:00.5+02:00":  {Time: noon.UnixMilli() + 500},
	} {
		if got, err := items.ParsePoint(in, noon); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-5", "-5m", "yesterday", "2026-13-01", "1.5"} {
		if got, err := items.ParsePoint(in, noon); err == nil {
			t.Errorf("%q: got %+v, want an error", in, got)
		}
	}
}

func TestRewindFindsItsPoint(t *testing.T) {
	fsys := many(t)
	logged(t, fsys, func(_ *wal.Log, c *wal.Consumer) {
		var seqs []uint64
		for i := range uint64(25) { // of 61: too few for their segment to be compacted
			seqs = append(seqs, i+1)
		}
		take(t, c, seqs...)
	})
	for to, want := range map[items.Point]int64{{}: 25, {Seq: 16}: 10, {Time: at(6)}: 20,
		{Time: at(5) + 1}: 20, {Time: at(26)}: 0, {Time: at(900)}: 0} {
		r, err := items.PlanRewind(fsys, queue, to, noon)
		if err != nil || r.Items != want {
			t.Errorf("to %+v: got %d items, %v; want %d", to, r.Items, err, want)
		}
	}
}
