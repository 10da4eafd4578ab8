package wal_test

import (
	"slices"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/inspect"
)

// sealedPair is a log's directory with segments of five items each, of a few KiB, from 1 and from 6
// on.
func sealedPair(t *testing.T) (fsys *disktest.FS, sources []*segment.Segment) {
	t.Helper()
	fsys = disktest.New()
	if err := fsys.Mkdir("q"); err != nil {
		t.Fatal(err)
	}
	for _, first := range []uint64{1, 6} {
		s, err := segment.Create(fsys, "q/"+inspect.SegmentName(first), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if err := s.Start(segment.Header{First: first}); err != nil {
			t.Fatal(err)
		}
		for seq := first; seq < first+5; seq++ {
			if err := s.Extend(80 << 10); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Append(&segment.Record{Seq: seq, Kind: segment.KindItem, ClientFlags: 7,
				Enqueued: 1, Expires: 99, Payload: make([]byte, 50<<10)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	return fsys, sources
}

func writeCold(t *testing.T, fsys *disktest.FS, name string, sources ...*segment.Segment) {
	t.Helper()
	all := func(*segment.Record) bool { return true }
	if err := segment.WriteCold(fsys, "q/"+name, sources, segment.ColdOptions{}, all,
		nil); err != nil {
		t.Fatal(err)
	}
}

func inOrder(t *testing.T, fsys *disktest.FS) (names []string) {
	t.Helper()
	files, err := inspected(t, fsys).InOrder()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

func TestAnInspectionLeavesOutWhatRecoveryRemoves(t *testing.T) {
	one, six, both := inspect.ColdName(1, 1), inspect.ColdName(6, 6), inspect.ColdName(1, 6)
	fsys, sources := sealedPair(t)
	for _, step := range []struct {
		name string
		of   []*segment.Segment
		want []string
	}{
		{six, sources[1:], []string{inspect.SegmentName(1), six}},
		{one, sources[:1], []string{one, six}},
		{both, sources, []string{both}},
	} {
		writeCold(t, fsys, step.name, step.of...)
		if got := inOrder(t, fsys); !slices.Equal(got, step.want) {
			t.Errorf("with %s: got %q", step.name, got)
		}
	}
	if err := fsys.WriteFile("q/"+both, []byte("something else")); err != nil {
		t.Fatal(err)
	}
	if got := inOrder(t, fsys); !slices.Equal(got, []string{one, six}) {
		t.Errorf("with an unreadable one: got %q", got)
	}
	l := open(t, "q", wal.Options{FS: fsys, SegmentSize: 1 << 20})
	if got := drain(t, l, consumer(t, l)); len(got) != 10 {
		t.Errorf("got %d items after recovery, want 10", len(got))
	}
}

// The shares of all records together are their blocks.
func TestAColdSegmentsFileIsSharedByItsRecords(t *testing.T) {
	fsys, sources := sealedPair(t)
	writeCold(t, fsys, inspect.ColdName(1, 6), sources...)
	in := inspected(t, fsys)
	v, err := in.OpenSegment(inspect.Classify(inspect.ColdName(1, 6)))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	all, n := int64(0), 0
	for s := range v.Steps() {
		from, to := v.Share(s.From, s.To)
		blockFrom, blockTo := v.FileRange(s.From, s.To)
		if int64(from) < blockFrom || int64(to) > blockTo || from >= to {
			t.Errorf("item %d: got bytes %d to %d, want them in the block from %d to %d",
				s.Record.Seq, from, to, blockFrom, blockTo)
		}
		all += int64(to - from)
		n++
	}
	from, to := v.FileRange(segment.HeaderSize, v.Tail())
	if n != 10 || all > to-from || all < to-from-64 { // blocks begin at multiples of 8
		t.Errorf("got %d items that share %d bytes, want 10 and %d", n, all, to-from)
	}
}
