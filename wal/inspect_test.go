package wal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

func inspect(t *testing.T, fsys *disktest.FS) *wal.Inspection {
	t.Helper()
	in, err := wal.Inspect(fsys, "q")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestEveryFileIsKnownByItsName(t *testing.T) {
	for name, want := range map[string]wal.FileKind{
		"00000000000000000001.seg": wal.SegmentFile, "00000000000000000001.spare": wal.SpareFile,
		"00000000000000000001.item": wal.BodyFile, "18446744073709551615.part": wal.PartFile,
		"consumer.off": wal.OffsetFile, "consumer+audit.off": wal.OffsetFile,
		"consumer.off.new": wal.RewriteFile, "consumer+audit.off.new": wal.RewriteFile,
		"00000000000000000001.seg.mend": wal.MendFile, "consumer.off.mend": wal.MendFile, "00000000000000000001.seg.mend-rename": wal.MovingFile, "consumer.off.undo": wal.UndoFile,
		"00000000000000000001.cold": wal.SegmentFile, "00000000000000000001-00000000000000000009.cold": wal.SegmentFile,
		"00000000000000000001.cold.new": wal.UnfinishedFile, "00000000000000000001.cold.mend": wal.MendFile, "00000000000000000001.cold.mend-rename": wal.MovingFile,
		"00000000000000000009-00000000000000000001.cold": wal.ForeignFile, "1.cold": wal.ForeignFile, "00000000000000000001.cold.undo": wal.ForeignFile,
		"1.seg": wal.ForeignFile, "99999999999999999999.seg": wal.ForeignFile, "00000000000000000001.seg.new": wal.ForeignFile,
		"consumer+.off": wal.ForeignFile, "x.mend": wal.ForeignFile, "consumer.off.mend.mend": wal.ForeignFile, "": wal.ForeignFile,
	} {
		if got := wal.KindOf(name); got != want {
			t.Errorf("%q is of kind %d instead of %d", name, got, want)
		}
	}
}

// What an inspection sees of a log is what was put into it.
func TestAnInspectionSeesAllItems(t *testing.T) {
	fsys := disktest.New()
	l := open(t, "q", wal.Options{FS: fsys})
	c := consumer(t, l)
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprintf("%d %0*d", i+1, 1+i*3, i))
		put(t, l, want[i])
	}
	for i := range 20 {
		p, _ := next(t, l, c)
		if i%4 != 1 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	wal.Tidy(l) // seals
	in := inspect(t, fsys.Clone())
	var got []string
	sealed := 0
	for _, f := range in.Files(wal.SegmentFile) {
		v, err := in.OpenSegment(f)
		if err != nil {
			t.Fatal(err)
		}
		if v.Header().First != f.Number {
			t.Errorf("%s begins with %d", f.Name, v.Header().First)
		}
		if v.Sealed() {
			sealed++
		}
		for s := range v.Steps() {
			if s.Err != nil || s.Stray {
				t.Errorf("%s: bytes %d to %d: %v", f.Name, s.From, s.To, s.Err)
			}
			got = append(got, string(s.Record.Payload))
		}
		v.Close()
	}
	if !slices.Equal(got, want) || sealed < 2 {
		t.Errorf("%d items in %d sealed segments, and not the %d that were put", len(got), sealed, len(want))
	}
	taken, err := in.Taken("")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 30; seq++ {
		if want := seq <= 20 && (seq-1)%4 != 1; taken.Has(seq) != want {
			t.Errorf("item %d: taken is %v", seq, !want)
		}
	}
}

func TestBodiesAreCheckedToTheLastByte(t *testing.T) {
	fsys := disktest.New()
	l := open(t, "q", wal.Options{FS: fsys})
	consumer(t, l)
	const size = 200_000 // four chunks
	w, err := l.Create(size, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, size))
	p, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	f := wal.FileInfo{Name: wal.BodyName(p.Seq), Size: wal.BodyFileSize(size)}
	check := func(damage func(path string, image *disktest.FS)) (wal.BodyView, error) {
		image := fsys.Clone()
		damage("q/"+f.Name, image)
		return inspect(t, image).CheckBody(f, nil)
	}
	if v, err := check(func(string, *disktest.FS) {}); err != nil || v.Size != size || len(v.Damage) > 0 {
		t.Errorf("undamaged it is %+v, %v", v, err)
	}
	v, err := check(func(path string, image *disktest.FS) {
		image.Corrupt(path, 64+10, 1)
		image.Corrupt(path, wal.BodyFileSize(size)-1, 1)
	})
	if err != nil || len(v.Damage) != 2 || v.Damage[0].From != 64 || v.Damage[1].To != wal.BodyFileSize(size) {
		t.Errorf("with two bits flipped it is %+v, %v", v, err)
	}
	v, err = check(func(path string, image *disktest.FS) {
		b, _ := image.ReadFile(path)
		image.WriteFile(path, b[:100])
	})
	if err != nil || len(v.Damage) != 1 || v.Damage[0] != (wal.BodyDamage{From: 64, To: wal.BodyFileSize(size)}) {
		t.Errorf("cut short it is %+v, %v", v, err)
	}
	if _, err := check(func(path string, image *disktest.FS) { image.Corrupt(path, 20, 1) }); !errors.Is(err, wal.ErrDamaged) {
		t.Errorf("with a damaged header: %v", err)
	}
}

// What was written is read again, after a crash at any point of the writing too: either the old state
// or the new one.
func TestOffsetsAreReplacedAtomically(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fsys := disktest.New()
	fsys.Mkdir("q")
	fsys.SyncDir("/")
	older, newer := wal.NewOffsets("audit", 5, 50, 77), wal.NewOffsets("audit", 9, 90, 77)
	for seq := uint64(11); seq < 1000; seq += 2 {
		newer.Take(seq, seq, 10)
	}
	if err := wal.WriteOffsets(fsys, "q", older); err != nil {
		t.Fatal(err)
	}
	read := func(image *disktest.FS) *wal.Offsets {
		t.Helper()
		in := inspect(t, image)
		if len(in.Files(wal.OffsetFile)) != 1 {
			t.Fatalf("there are %q", image.Names("q"))
		}
		v, err := in.ReadOffsets(in.Files(wal.OffsetFile)[0])
		if err != nil || len(v.Damage) > 0 {
			t.Fatalf("%v, %+v", err, v)
		}
		return &v.Offsets
	}
	var images []*disktest.FS
	fsys.Fail(func(disktest.Op, string, int) error {
		images = append(images, fsys.Clone(), fsys.Crash(rng), fsys.Crash(rng))
		return nil
	})
	if err := wal.WriteOffsets(fsys, "q", newer); err != nil {
		t.Fatal(err)
	}
	fsys.Fail(nil)
	for i, image := range images {
		got := read(image)
		if !same(got, older) && !same(got, newer) {
			t.Fatalf("image %d of %d has head %d and ends at %d", i, len(images), got.Head, got.End())
		}
	}
	if got := read(fsys); !same(got, newer) || got.Created != 77 || got.Consumer != "audit" || got.Below != 90 {
		t.Errorf("in the end it is %+v", got)
	}
}

func same(a, b *wal.Offsets) bool {
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
		o := wal.NewOffsets("", uint64(rng.IntN(5)), 0, 0)
		for range rng.IntN(8) {
			from := uint64(rng.IntN(40))
			o.Take(from, from+uint64(rng.IntN(4)), 0)
		}
		for seq := range uint64(50) {
			taken, last := o.Run(seq)
			if taken != o.Has(seq) || o.Has(last) != taken || last < seq || last != ^uint64(0) && o.Has(last+1) == taken {
				t.Fatalf("%d: %v up to %d", seq, taken, last)
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
	o := wal.NewOffsets("", 5, 50, 77)
	o.Take(8, 9, 0)
	o.Take(20, 30, 0)
	if err := wal.WriteOffsets(fsys, "q", o); err != nil {
		t.Fatal(err)
	}
	fsys.Corrupt("q/consumer.off", 30, 1)
	fsys.Corrupt("q/consumer.off", 512+30, 1)
	in := inspect(t, fsys)
	v, err := in.ReadOffsets(in.Files(wal.OffsetFile)[0])
	if err != nil || !v.Salvaged || len(v.Damage) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	if !v.Has(8) || !v.Has(30) || v.Has(10) || v.Has(31) {
		t.Errorf("taken is %+v", v.Offsets)
	}
}

func TestASegmentWithoutAHeaderIsStillExamined(t *testing.T) {
	fsys := disktest.New()
	l := open(t, "q", wal.Options{FS: fsys})
	consumer(t, l)
	for i := range 5 {
		put(t, l, fmt.Sprint("item ", i))
	}
	image := fsys.Clone()
	in := inspect(t, image)
	f := in.Files(wal.SegmentFile)[0]
	image.Corrupt(in.Path(f), 20, 1)
	image.Corrupt(in.Path(f), 512+20, 1)
	v, err := in.OpenSegment(f)
	if err != nil || !v.Headless {
		t.Fatalf("%+v, %v", v, err)
	}
	defer v.Close()
	n := 0
	for s := range v.Steps() {
		if s.Err != nil || s.Record.Kind != segment.KindItem {
			t.Errorf("%+v", s)
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d items", n)
	}
}
