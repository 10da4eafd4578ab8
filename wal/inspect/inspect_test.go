package inspect_test

import (
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal/inspect"
)

func inspected(t *testing.T, fsys *disktest.FS) *inspect.Inspection {
	t.Helper()
	in, err := inspect.Open(fsys, "q")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestEveryFileIsKnownByItsName(t *testing.T) {
	for name, want := range map[string]inspect.FileKind{
		"00000000000000000001.seg": inspect.SegmentFile, "00000000000000000001.spare": inspect.SpareFile,
		"00000000000000000001.item": inspect.BodyFile, "18446744073709551615.part": inspect.PartFile,
		"consumer.off": inspect.OffsetFile, "consumer+audit.off": inspect.OffsetFile,
		"consumer.off.new": inspect.RewriteFile, "consumer+audit.off.new": inspect.RewriteFile,
		"00000000000000000001.seg.mend": inspect.MendFile, "consumer.off.mend": inspect.MendFile, "00000000000000000001.seg.mend-rename": inspect.MovingFile, "consumer.off.undo": inspect.UndoFile,
		"00000000000000000001.cold": inspect.SegmentFile, "00000000000000000001-00000000000000000009.cold": inspect.SegmentFile,
		"00000000000000000001.cold.new": inspect.UnfinishedFile, "00000000000000000001.cold.mend": inspect.MendFile, "00000000000000000001.cold.mend-rename": inspect.MovingFile,
		"00000000000000000009-00000000000000000001.cold": inspect.ForeignFile, "1.cold": inspect.ForeignFile, "00000000000000000001.cold.undo": inspect.ForeignFile,
		"1.seg": inspect.ForeignFile, "99999999999999999999.seg": inspect.ForeignFile, "00000000000000000001.seg.new": inspect.ForeignFile,
		"consumer+.off": inspect.ForeignFile, "x.mend": inspect.ForeignFile, "consumer.off.mend.mend": inspect.ForeignFile, "": inspect.ForeignFile,
	} {
		if got := inspect.KindOf(name); got != want {
			t.Errorf("%q: got kind %d, want %d", name, got, want)
		}
	}
}

// What was written is read again. After a crash at any point of the writing, that is either the old
// state or the new one.
func TestOffsetsAreReplacedAtomically(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fsys := disktest.New()
	fsys.Mkdir("q")
	fsys.SyncDir("/")
	older, newer := inspect.NewOffsets("audit", 5, 50, 77), inspect.NewOffsets("audit", 9, 90, 77)
	for seq := uint64(11); seq < 1000; seq += 2 {
		newer.Take(seq, seq, 10)
	}
	if err := inspect.WriteOffsets(fsys, "q", older); err != nil {
		t.Fatal(err)
	}
	read := func(image *disktest.FS) *inspect.Offsets {
		t.Helper()
		in := inspected(t, image)
		if len(in.Files(inspect.OffsetFile)) != 1 {
			t.Fatalf("got the files %q, want one offset file", image.Names("q"))
		}
		v, err := in.ReadOffsets(in.Files(inspect.OffsetFile)[0])
		if err != nil || len(v.Damage) > 0 {
			t.Fatalf("got %v, %+v, want no damage", err, v)
		}
		return &v.Offsets
	}
	var images []*disktest.FS
	fsys.Fail(func(disktest.Op, string, int) error {
		images = append(images, fsys.Clone(), fsys.Crash(rng), fsys.Crash(rng))
		return nil
	})
	if err := inspect.WriteOffsets(fsys, "q", newer); err != nil {
		t.Fatal(err)
	}
	fsys.Fail(nil)
	for i, image := range images {
		got := read(image)
		if !same(got, older) && !same(got, newer) {
			t.Fatalf("image %d of %d: got head %d and end %d, want the old state or the new one", i, len(images), got.Head, got.End())
		}
	}
	got := read(fsys)
	if !same(got, newer) || got.Created != 77 || got.Consumer != "audit" || got.Below != 90 {
		t.Errorf("got %+v in the end, want the new state", got)
	}
}

func same(a, b *inspect.Offsets) bool {
	for seq := range uint64(1100) {
		if a.Has(seq) != b.Has(seq) {
			return false
		}
	}
	return true
}

func TestRunsAndGapsOfTakenItems(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		o := inspect.NewOffsets("", uint64(rng.IntN(5)), 0, 0)
		for range rng.IntN(8) {
			from := uint64(rng.IntN(40))
			o.Take(from, from+uint64(rng.IntN(4)), 0)
		}
		for seq := range uint64(50) {
			taken, last := o.Run(seq)
			if taken != o.Has(seq) || o.Has(last) != taken || last < seq ||
				last != ^uint64(0) && o.Has(last+1) == taken {
				t.Fatalf("%d: got taken %v up to %d, want the whole run", seq, taken, last)
			}
		}
		from, to := uint64(rng.IntN(50)), uint64(rng.IntN(50))
		missing := make(map[uint64]bool)
		for a, b := range o.Missing(from, to) {
			for ; a <= b; a++ {
				missing[a] = true
			}
		}
		for seq := range uint64(60) {
			if want := seq >= from && seq <= to && !o.Has(seq); missing[seq] != want {
				t.Fatalf("%d of %d to %d: missing is %v", seq, from, to, !want)
			}
		}
	}
}

func TestOffsetsAreReadWithoutTheirSlots(t *testing.T) {
	fsys := disktest.New()
	fsys.Mkdir("q")
	o := inspect.NewOffsets("", 5, 50, 77)
	o.Take(8, 9, 0)
	o.Take(20, 30, 0)
	if err := inspect.WriteOffsets(fsys, "q", o); err != nil {
		t.Fatal(err)
	}
	fsys.Corrupt("q/consumer.off", 30, 3)
	fsys.Corrupt("q/consumer.off", 512+30, 3)
	in := inspected(t, fsys)
	v, err := in.ReadOffsets(in.Files(inspect.OffsetFile)[0])
	if err != nil || !v.Salvaged || len(v.Damage) != 2 {
		t.Fatalf("got %+v, %v, want it salvaged, with both slots damaged", v, err)
	}
	if !v.Has(8) || !v.Has(30) || v.Has(10) || v.Has(31) {
		t.Errorf("got %+v, want what was taken", v.Offsets)
	}
}
