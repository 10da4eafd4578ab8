package wal_test

// What is missing is reported, and files of another log cost nothing.

import (
	"bytes"
	"errors"
	"log/slog"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/inspect"
)

// openRecording opens a log. said returns the errors that it has logged, a line for each.
func (m memory) openRecording() (*wal.Log, func() []string) {
	var b bytes.Buffer
	o := options(m.FS)
	o.Logger = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelError}))
	l := open(m.t, "/data/q", o)
	return l, func() []string { return strings.Split(strings.TrimSpace(b.String()), "\n") }
}

// synced is a log with n synced items, the first of which are taken, as a kill leaves it. former is
// the same with half as many, as it was before.
func synced(t *testing.T, n, taken int) (m, former memory) {
	m = newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, n/2)
	syncNow(t, l)
	former = memory{m.Clone(), t}
	fill(t, l, n/2, n)
	for range taken {
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	syncNow(t, l)
	return memory{m.Clone(), t}, former
}

func (m memory) segment() string {
	segments := m.files(".seg")
	return path.Join("/data/q", segments[len(segments)-1])
}

// overwrite replaces the content of the last segment's file.
func (m memory) overwrite(b []byte) error { return m.WriteFile(m.segment(), b) }

// shortened are the ways to lose the end of a log.
var shortened = map[string]func(m, former memory) error{
	"cut to a half": func(m, _ memory) error {
		b, err := m.ReadFile(m.segment())
		if err != nil {
			return err
		}
		return m.WriteFile(m.segment(), b[:1024+50*48])
	},
	"emptied": func(m, _ memory) error { return m.overwrite(nil) },
	"zeroed":  func(m, _ memory) error { return m.overwrite(make([]byte, 64<<10)) },
	"its header": func(m, _ memory) error {
		b, _ := m.ReadFile(m.segment())
		return m.overwrite(b[:1024])
	},
	"deleted": func(m, _ memory) error { return m.Remove(m.segment()) },
	"overwritten": func(m, _ memory) error {
		return m.overwrite(bytes.Repeat([]byte("x"), 64<<10))
	},
	"of yesterday": func(m, former memory) error {
		b, _ := former.ReadFile(former.segment())
		return m.WriteFile(m.segment(), b)
	},
}

// Whether the head is within what is left, beyond it or at the end: every item that is lost is
// counted, reported once, and named by darner-fsck.
func TestALogThatEndsBeforeWhatWasSyncedSaysSo(t *testing.T) {
	const n = 200
	for how, shorten := range shortened {
		for _, taken := range []int{0, 20, 150, n} {
			m, former := synced(t, n, taken)
			if err := shorten(m, former); err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			l, said := m.openRecording()
			end := 1 + uint64(n)
			if p := put(t, l, "one more"); p.Seq < end {
				t.Errorf("%s, %d taken: got number %d again, want a new one", how, taken, p.Seq)
			}
			if _, err := examine(m.Clone(), "/data/q"); err != nil {
				t.Errorf("%s, %d taken: darner-fsck reports what the log has reported: %v",
					how, taken, err)
			}
			got := drain(t, l, consumer(t, l))
			if left := len(got) - 1; taken < n && l.Stats().Damaged < uint64(n-taken-max(left, 0)) {
				t.Errorf("%s, %d taken: got %d items and %d damaged, want all in one or the other",
					how, taken, left, l.Stats().Damaged)
			}
			// If all is taken, the segment may have been deleted, or its file used again.
			if taken < n {
				if lines := said(); lines[0] == "" || l.Stats().Damaged == 0 {
					t.Errorf("%s, %d taken: got %d damaged and the errors %q, want the loss reported",
						how, taken, l.Stats().Damaged, lines)
				}
			}
			l.Close()
			again, said := m.openRecording()
			if lines := said(); lines[0] != "" || again.Stats().Damaged != 0 {
				t.Errorf("%s, %d taken: got the errors %q, want the loss reported once",
					how, taken, lines)
			}
		}
	}
}

func TestFsckNamesWhatWasSyncedAndIsGone(t *testing.T) {
	for how, shorten := range shortened {
		m, former := synced(t, 200, 20)
		if err := shorten(m, former); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		res, err := examine(m.FS, "/data/q")
		if err == nil || res.Lost+res.Items != 180 {
			t.Errorf("%s: got %d items and %d lost, want 180 in all (%v)",
				how, res.Items, res.Lost, err)
		}
		if _, err := fsck.Run("/data/q", fsck.Options{FS: m.FS, Repair: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := examine(m.FS, "/data/q"); err != nil {
			t.Errorf("%s, repaired: got %v, want no damage", how, err)
		}
		l, said := m.openRecording()
		if lines := said(); lines[0] != "" || l.Stats().Damaged != 0 {
			t.Errorf("%s, repaired: got the errors %q, want none", how, lines)
		}
	}
}

func TestAPowerCutIsNoEvidence(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 100)
	syncNow(t, l)
	before, err := m.ReadFile(m.segment())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 100, 200)
	drain(t, l, c)
	m = memory{m.Clone(), t}
	// What came since the sync is lost, that it was taken is not.
	if err := m.WriteFile(m.segment(), before); err != nil {
		t.Fatal(err)
	}
	if _, err := examine(m.FS, "/data/q"); err != nil {
		t.Error(err)
	}
	l, said := m.openRecording()
	if lines := said(); lines[0] != "" || l.Stats().Damaged != 0 {
		t.Errorf("got %d damaged and the errors %q, want none", l.Stats().Damaged, lines)
	}
	if p := put(t, l, "one more"); p.Seq != 201 {
		t.Errorf("got number %d, want 201", p.Seq)
	}
}

// scattered is a log of which every other item is taken, and that is synced.
func scattered(t *testing.T) memory {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 100)
	for i := range 100 {
		if p, _ := next(t, l, c); i%2 == 1 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	syncNow(t, l)
	return memory{m.Clone(), t}
}

// A file that lost something says so once, and by then it is whole again.
func TestAnOffsetFileThatIsCutOrDamagedSaysSo(t *testing.T) {
	const offsets = "/data/q/consumer.off"
	write := func(m memory, b []byte) error { return m.WriteFile(offsets, b) }
	corrupt := func(m memory, at int64) error { return m.Corrupt(offsets, at, 24) }
	for how, harm := range map[string]func(m memory, b []byte) error{
		"cut within the slots":   func(m memory, b []byte) error { return write(m, b[:500]) },
		"cut before the entries": func(m memory, b []byte) error { return write(m, b[:1024]) },
		"cut in the entries": func(m memory, b []byte) error {
			return write(m, b[:1024+32*20])
		},
		"an entry is damaged": func(m memory, _ []byte) error {
			return corrupt(m, 1024+32*20+9)
		},
		"a slot is damaged": func(m memory, _ []byte) error { return corrupt(m, 512+30) },
		"a checkpoint among ranges is damaged": func(m memory, b []byte) error {
			at := entriesAt
			for kind := func(at int) byte { return b[at+31] }; kind(at) != 1 ||
				kind(at+entrySize) != 2 || at > entriesAt && kind(at-entrySize) != 2; {
				at += entrySize
			}
			return m.Corrupt(offsets, int64(at)+9, 24)
		},
		"entries are zeros": func(m memory, b []byte) error {
			clear(b[2048:2560])
			return write(m, b)
		},
		"a slot is zeros": func(m memory, b []byte) error { clear(b[:512]); return write(m, b) },
	} {
		m := scattered(t)
		b, err := m.ReadFile(offsets)
		if err != nil {
			t.Fatal(err)
		}
		if err := harm(m, b); err != nil {
			t.Fatal(err)
		}
		if _, err := examine(m.FS, "/data/q"); err == nil {
			t.Errorf("%s: got nothing from darner-fsck, want the damage", how)
		}
		l, said := m.openRecording()
		if lines := said(); len(lines) != 1 ||
			!strings.Contains(lines[0], "offset file is damaged or was cut") ||
			l.Stats().Damaged == 0 {
			t.Errorf("%s: got %d damaged and the errors %q, want one error",
				how, l.Stats().Damaged, lines)
		}
		if items, _ := consumer(t, l).Pending(); items < 50 {
			t.Errorf("%s: got %d items, want at least 50", how, items)
		}
		if copies := m.Names("/data/q/.quarantine/q"); len(copies) != 1 {
			t.Errorf("%s: got %q in the quarantine, want one copy", how, copies)
		}
		for range 2 {
			m = memory{m.Clone(), t}
			if _, err := examine(m.FS, "/data/q"); err != nil {
				t.Errorf("%s: darner-fsck reports what the log has reported: %v", how, err)
			}
			l, said = m.openRecording()
			if lines := said(); lines[0] != "" || l.Stats().Damaged != 0 {
				t.Errorf("%s: got the errors %q, want the damage reported once", how, lines)
			}
			l.Close()
		}
	}
}

// another is the directory of another log, with items of its own, all taken.
func another(t *testing.T) *disktest.FS {
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	fill(t, l, 0, 3000)
	if _, err := upload(l, body("000001", 100_000)); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	settle(l)
	syncNow(t, l)
	return m.Clone()
}

// Of all that another log's directory may leave here nothing is delivered, and nothing of this log
// is lost.
func TestAFileOfAnotherLogIsSetAsideAndCostsNothing(t *testing.T) {
	other := another(t)
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	const n = 2500
	fill(t, l, 0, n)
	for range 10 {
		p, _ := next(t, l, c)
		if err := c.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	settle(l)
	l.Close()
	for _, name := range other.Names("/data/q") {
		for _, as := range placesFor(m, name) {
			m := memory{m.Clone(), t}
			b, err := other.ReadFile("/data/q/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.WriteFile("/data/q/"+as, b); err != nil {
				t.Fatal(err)
			}
			if _, err := examine(m.FS, "/data/q"); err == nil ||
				!strings.Contains(err.Error(), "belongs to another") {
				t.Errorf("%s as %s: got %v from darner-fsck, want a file of another log",
					name, as, err)
			}
			l, said := m.openRecording()
			want := n - 10
			if as == "consumer.off" {
				want = n // what was taken comes again
			}
			got := drain(t, l, consumer(t, l))
			if len(got) != want || !slices.IsSorted(got) {
				t.Errorf("%s as %s: got %d items, want %d", name, as, len(got), want)
			}
			settle(l)
			if lines := said(); len(lines) != 1 || lines[0] == "" || l.Stats().Damaged != 1 {
				t.Errorf("%s as %s: got %d damaged and the errors %q, want one of each",
					name, as, l.Stats().Damaged, lines)
			}
			if aside := m.Names("/data/q/.quarantine/q"); len(aside) != 1 {
				t.Errorf("%s as %s: got %q set aside, want one file", name, as, aside)
			}
			l.Close()
		}
	}
}

// placesFor are names that a file may have been given by mistake, and that cost this log no file of
// its own.
func placesFor(m memory, name string) []string {
	switch kind := inspect.Classify(name); kind.Kind {
	case inspect.OffsetFile:
		return []string{name}
	case inspect.BodyFile:
		return []string{"00000000000000099999.item"}
	case inspect.SegmentFile:
		if slices.Contains(m.Names("/data/q"), name) {
			return nil
		}
		return []string{name}
	}
	return nil
}

func TestADirectoryIsRenamedAndCopiedWithItsIdentity(t *testing.T) {
	m, _ := synced(t, 200, 20)
	for _, name := range m.Names("/data/q") {
		b, err := m.ReadFile("/data/q/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.WriteFile("/data/copy/"+name, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Rename("/data/q", "/data/renamed"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/data/copy", "/data/renamed"} {
		if _, err := examine(m.FS, dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		l := open(t, dir, options(m.FS))
		if got := drain(t, l, consumer(t, l)); len(got) != 180 || l.Stats().Damaged != 0 {
			t.Errorf("%s: got %d items and %d damaged, want 180 and none",
				dir, len(got), l.Stats().Damaged)
		}
	}
}

// Any one file may have lost the identity.
func TestTheIdentityIsKnownFromAnyFile(t *testing.T) {
	for _, lost := range []string{"consumer.off", "00000000000000000001.seg"} {
		m, _ := synced(t, 200, 20)
		for _, at := range []int64{20, 512 + 20} {
			if err := m.Corrupt("/data/q/"+lost, at, 3); err != nil {
				t.Fatal(err)
			}
		}
		l := m.open()
		put(t, l, "one more")
		got := drain(t, l, consumer(t, l))
		if len(got) < 181 {
			t.Errorf("%s lost its head: got %d items, want at least 181", lost, len(got))
		}
		l.Close()
		if got := m.open(); got.Stats().Damaged != 0 {
			t.Errorf("%s lost its head: got %d damaged after another start, want none",
				lost, got.Stats().Damaged)
		}
	}
}

func TestOneSegmentOfAnotherLogIsAStrangerAlsoWhereNoOffsetFileIsLeft(t *testing.T) {
	m := newMemory(t)
	for _, log := range []struct {
		dir   string
		items int
	}{{"/data/q", 10_000}, {"/data/other", 20_000}} {
		l := open(t, log.dir, options(m.FS))
		consumer(t, l)
		fill(t, l, 0, log.items)
		settle(l)
		l.Close()
	}
	last := ""
	for _, n := range m.Names("/data/other") { // in order
		if strings.HasSuffix(n, ".seg") {
			last = n
		}
	}
	if err := errors.Join(m.Rename("/data/other/"+last, "/data/q/"+last),
		m.Remove("/data/q/consumer.off")); err != nil {
		t.Fatal(err)
	}
	l := m.open()
	if got := drain(t, l, consumer(t, l)); len(got) != 10_000 {
		t.Fatalf("got %d of the log's own items, want 10000", len(got))
	}
}
