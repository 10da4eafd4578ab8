package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// openCold opens a log whose sealed segments are compressed.
func openCold(m memory) *wal.Log {
	m.t.Helper()
	o := options(m.FS)
	o.Cold = nil
	return open(m.t, "/data/q", o)
}

// telemetry is a line that compresses as such lines do.
func telemetry(i int) string {
	return fmt.Sprintf(`{"device":"gw-%03d","n":%07d,"temperature":%d.%02d,"humidity":%d.%d,"status":"ok","text":"all is well in the cabinet by the road"}`,
		i%8, i, 20+i%7, i%100, 40+i%9, i%10)
}

func fillWith(t testing.TB, l *wal.Log, from, to int, line func(int) string) {
	t.Helper()
	for i := from; i < to; i++ {
		put(t, l, line(i))
	}
}

// noise does not compress.
func noise(i int) string {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	b := make([]byte, 200+r.IntN(200))
	for k := range b {
		b[k] = byte(r.Uint32())
	}
	return fmt.Sprintf("%07d", i) + string(b)
}

func TestABacklogIsCompressedAndComesBackAsItWas(t *testing.T) {
	m := newMemory(t)
	l := openCold(m)
	c := consumer(t, l)
	const n = 5000 // some 14 segments, which become one
	fillWith(t, l, 0, n, telemetry)
	var opened []wal.Position // open reads from before
	for range 100 {
		p, _ := next(t, l, c)
		opened = append(opened, p)
	}
	settle(l)
	before := l.Stats().DiskBytes
	rest(l)
	after := l.Stats().DiskBytes
	if cold := m.files(".cold"); len(cold) == 0 || after > before/3 {
		t.Fatalf("got %d cold segments and %d bytes of %d, want some and at most a third: %v",
			len(cold), after, before, m.Names("/data/q"))
	}
	for i, p := range opened {
		if b, _, err := l.Read(p, nil); err != nil || string(b) != telemetry(i) {
			t.Fatalf("item %d, open since before: got %q, %v", i, b, err)
		}
	}
	for i := 100; i < n; i++ {
		if _, got := next(t, l, c); got != telemetry(i) {
			t.Fatalf("item %d: got %q", i, got)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openCold(m)
	got := drain(t, l, consumer(t, l))
	if len(got) != n || got[0] != telemetry(0) || got[n-1] != telemetry(n-1) {
		t.Fatalf("after a restart: got %d items, want %d", len(got), n)
	}
}

func TestAQueueThatIsKeptShortIsNeverRewritten(t *testing.T) {
	m := newMemory(t)
	l := openCold(m)
	c := consumer(t, l)
	for i := range 5000 {
		put(t, l, telemetry(i))
		if i >= 300 {
			p, _ := next(t, l, c)
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
		if i%100 == 0 {
			settle(l)
		}
	}
	if s := l.Stats(); s.Compactions != 0 {
		t.Fatalf("got %d segments rewritten, want none", s.Compactions)
	}
}

func TestSpaceInUseIsBoundedWhateverTheOrderOfTaking(t *testing.T) {
	for _, kind := range []struct {
		name string
		cold *wal.Cold
		line func(int) string
	}{
		{"compressed", nil, telemetry},
		{"incompressible", nil, noise},
		{"without compression and parity", &wal.Cold{}, noise},
	} {
		t.Run(kind.name, func(t *testing.T) {
			m := newMemory(t)
			o := options(m.FS)
			o.Cold = kind.cold
			l := open(t, "/data/q", o)
			c := consumer(t, l)
			rng := rand.New(rand.NewPCG(3, 4))
			type held struct {
				p    wal.Position
				line string
			}
			var open []held
			live := int64(0)
			for i := range 12_000 {
				line := kind.line(i)
				put(t, l, line)
				p, _ := next(t, l, c)
				open = append(open, held{p, line})
				live += segment.RecordSize(len(line))
				for len(open) > 300 { // any of them, and some stay for long
					k := rng.IntN(len(open))
					if k < 40 {
						k = 40 + rng.IntN(len(open)-40)
					}
					live -= segment.RecordSize(len(open[k].line))
					if err := c.Take(open[k].p); err != nil {
						t.Fatal(err)
					}
					open = slices.Delete(open, k, k+1)
				}
				if i%1000 == 999 {
					rest(l)
					most := live*11/10 + 2*wal.MinSegmentSize // of sealed segments
					// The active one, the next one, the offset file.
					most += 2*wal.MinSegmentSize + 64<<10
					if used := l.Stats().DiskBytes; used > most {
						t.Fatalf("after %d items: got %d bytes in use for %d that are live, want a tenth more at most: %v",
							i, used, live, m.sizes())
					}
				}
			}
			for _, h := range open {
				if b, _, err := l.Read(h.p, nil); err != nil || string(b) != h.line {
					t.Fatalf("an item that stayed open: got %.20q, %v", b, err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = m.open()
			got := drain(t, l, consumer(t, l))
			if len(got) != len(open) {
				t.Fatalf("after a restart: got %d items, want %d", len(got), len(open))
			}
			for i, h := range open {
				if got[i] != h.line {
					t.Fatalf("item %d after a restart: got %.20q, want %.20q", i, got[i], h.line)
				}
			}
			if s := l.Stats(); s.Damaged != 0 {
				t.Fatalf("got %d damaged items, want none", s.Damaged)
			}
		})
	}
}

func TestWhatIsTakenAfterAStuckItemIsDeletedAtOnce(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fillWith(t, l, 0, 3000, noise)
	stuck, _ := next(t, l, c)
	for range 2999 {
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	rest(l)
	if n := l.Stats().Segments; n > 2 {
		t.Fatalf("got %d segments for one item, want at most 2", n)
	}
	if b, _, err := l.Read(stuck, nil); err != nil || string(b) != noise(0) {
		t.Fatalf("the stuck item: got %v, want it as it was", err)
	}
}

func TestCompactionGivesSpaceBackOnAFullDisk(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.Clock = clocktest.New(time.UnixMilli(1))
	o.Background = heldBackground(t, o.Clock)
	o.Background.KeepReserve(m.FS, "/data/.reserve", 64<<10)
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	fillWith(t, l, 0, 10, noise)
	m.SetCapacity(m.Used() + 1<<20)
	var err error
	n := 10
	for ; err == nil; n++ {
		_, err = l.Append([]byte(noise(n)), wal.Meta{Flags: 7, Expires: 99})
	}
	n--
	if !errors.Is(err, wal.ErrFull) {
		t.Fatal(err)
	}
	settle(l)
	kept := 0
	for i := range n { // one of 50 stays, in every segment
		p, _ := next(t, l, c)
		if i%50 == 0 {
			kept++
			continue
		}
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	// Refused or not, it makes compaction look for space.
	l.Append([]byte(noise(0)), wal.Meta{Flags: 7, Expires: 99})
	rest(l)
	for i := range 1000 {
		_, err := l.Append([]byte(noise(i)), wal.Meta{Flags: 7, Expires: 99})
		// As clients do; a refusal asks for space.
		for again := 0; errors.Is(err, wal.ErrFull) && again < 10; again++ {
			rest(l)
			_, err = l.Append([]byte(noise(i)), wal.Meta{Flags: 7, Expires: 99})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if v := m.Violations(); len(v) > 0 {
		t.Fatalf("got stores without blocks: %v", v)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = m.open()
	if got := drain(t, l, consumer(t, l)); len(got) < kept+1000 || len(got) > kept+1001 {
		t.Fatalf("got %d items, want %d", len(got), kept+1000)
	}
}

func TestAnEmptiedQueueGivesItsSpaceBack(t *testing.T) {
	m := newMemory(t)
	o := options(m.FS)
	o.SegmentSize = 1 << 20
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	fillWith(t, l, 0, 5000, noise)
	if err := c.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	rest(l)
	if used := l.Stats().DiskBytes; used > 72<<10 {
		t.Fatalf("got %d bytes in use by an empty queue, want at most 72 KiB: %v",
			used, m.Names("/data/q"))
	}
	put(t, l, "hello")
	if got := drain(t, l, c); len(got) != 1 || got[0] != "hello" {
		t.Fatalf("got %q, want the one item", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if used := m.Used(); used > 8<<10 {
		t.Fatalf("got %d bytes in use by an empty queue that is closed, want at most 8 KiB: %v",
			used, m.Names("/data/q"))
	}
}

func TestADamagedColdSegmentIsMendedWhenItIsRead(t *testing.T) {
	m := newMemory(t)
	l := openCold(m)
	fillWith(t, l, 0, 3000, telemetry)
	rest(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var name string
	var sound []byte
	// The largest: in a small one there may be padding at any place.
	for _, n := range m.files(".cold") {
		b, err := m.ReadFile("/data/q/" + n)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > len(sound) {
			name, sound = "/data/q/"+n, b
		}
	}
	// In the first block, whether it begins right after the directory or on the next page.
	const within = 4096 + 100
	if err := m.Corrupt(name, within, 0x10); err != nil {
		t.Fatal(err)
	}
	l = openCold(m)
	c := consumer(t, l)
	for i := range 3000 {
		if _, got := next(t, l, c); got != telemetry(i) {
			t.Fatalf("got %q as item %d, want %q", got, i, telemetry(i))
		}
	}
	settle(l)
	if b, err := m.ReadFile(name); err != nil || !bytes.Equal(b, sound) {
		t.Fatalf("got another file than before the damage (%v), want it mended", err)
	}
	if s := l.Stats(); s.Damaged != 0 || s.Mended != 1 {
		t.Fatalf("got %d damaged items and %d places mended, want 0 and 1", s.Damaged, s.Mended)
	}
}

// A flipped bit that nobody has read is found by scrubbing, and by compaction.
func TestAFlippedBitOfAColdSegmentIsCountedByWhoeverMeetsIt(t *testing.T) {
	for _, compacted := range []bool{false, true} {
		m := newMemory(t)
		l := openCold(m)
		c := consumer(t, l)
		fillWith(t, l, 0, 3000, telemetry)
		rest(l)
		names := m.files(".cold")
		if len(names) == 0 {
			t.Fatal("got no cold segment: this test shows nothing")
		}
		path := "/data/q/" + names[0]
		if err := m.Corrupt(path, 512+40, 1); err != nil { // in a copy of the header
			t.Fatal(err)
		}
		if compacted {
			for i := range 2900 { // little is left in each segment
				if p, _ := next(t, l, c); i%100 != 0 {
					if err := c.Take(p); err != nil {
						t.Fatal(err)
					}
				}
			}
			rest(l)
			if s := l.Stats(); s.Mended != 1 || s.Damaged != 0 {
				t.Errorf("compacted: got %d mended, %d damaged, want 1 and 0", s.Mended, s.Damaged)
			}
			continue
		}
		s := &wal.Scrubber{FS: m.FS, Logger: quiet()}
		for _, want := range []uint64{1, 0} {
			got, err := s.Scrub(t.Context(), "/data/q")
			if err != nil || got != want {
				t.Errorf("scrubbed: got %d bits mended, %v, want %d", got, err, want)
			}
		}
	}
}

func TestNamesAloneTellWhatAColdSegmentStandsFor(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fillWith(t, l, 0, 4000, noise)
	settle(l)
	for i := range 3900 { // little is left in each: they are joined
		p, _ := next(t, l, c)
		if i%100 != 0 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := map[string][]byte{}
	for _, n := range m.Names("/data/q") {
		if strings.HasSuffix(n, ".seg") {
			before[n], _ = m.ReadFile("/data/q/" + n)
		}
	}
	rest(l)
	var joined string
	for _, n := range m.files(".cold") {
		if strings.Contains(n, "-") {
			joined = n
		}
	}
	if joined == "" {
		t.Fatalf("got no joined segment: %v", m.Names("/data/q"))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for n, b := range before { // as if none of them had been deleted yet
		if _, err := m.ReadFile("/data/q/" + n); err == nil {
			continue
		}
		if err := m.WriteFile("/data/q/"+n, b); err != nil {
			t.Fatal(err)
		}
	}
	l = openCold(m)
	if got := drain(t, l, consumer(t, l)); len(got) != 39+100 {
		t.Fatalf("got %d items, want %d", len(got), 39+100)
	}
	if s := l.Stats(); s.Damaged != 0 {
		t.Fatalf("got %d damaged items, want none", s.Damaged)
	}
}
