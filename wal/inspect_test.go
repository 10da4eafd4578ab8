package wal_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
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
	settle(l) // seals
	in := inspected(t, fsys.Clone())
	var got []string
	sealed := 0
	for _, f := range in.Files(inspect.SegmentFile) {
		v, err := in.OpenSegment(f)
		if err != nil {
			t.Fatal(err)
		}
		if v.Header().First != f.Number {
			t.Errorf("%s: got %d as the first item", f.Name, v.Header().First)
		}
		if v.Sealed() {
			sealed++
		}
		for s := range v.Steps() {
			if s.Err != nil || s.Stray {
				t.Errorf("%s: got bytes %d to %d as damage: %v", f.Name, s.From, s.To, s.Err)
			}
			got = append(got, string(s.Record.Payload))
		}
		v.Close()
	}
	if !slices.Equal(got, want) || sealed < 2 {
		t.Errorf("got %d items in %d sealed segments, want the %d that were put",
			len(got), sealed, len(want))
	}
	taken, err := in.Taken("")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 30; seq++ {
		if want := seq <= 20 && (seq-1)%4 != 1; taken.Has(seq) != want {
			t.Errorf("item %d: got taken %v", seq, !want)
		}
	}
}

func TestBodiesAreCheckedToTheLastByte(t *testing.T) {
	fsys := disktest.New()
	l := open(t, "q", wal.Options{FS: fsys})
	consumer(t, l)
	const size = 200_000 // four chunks
	w, err := l.BeginLarge(size, wal.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, size))
	p, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	f := inspect.FileInfo{Name: inspect.BodyName(p.Seq), Size: inspect.BodyFileSize(size)}
	check := func(damage func(path string, image *disktest.FS)) (inspect.BodyView, error) {
		image := fsys.Clone()
		damage("q/"+f.Name, image)
		return inspected(t, image).CheckBody(f, nil)
	}
	if v, err := check(func(string, *disktest.FS) {}); err != nil || v.Size != size ||
		len(v.Damage) > 0 {
		t.Errorf("undamaged: got %+v, %v", v, err)
	}
	v, err := check(func(path string, image *disktest.FS) {
		image.Corrupt(path, 64+10, 3)
		image.Corrupt(path, inspect.BodyFileSize(size)-1, 3)
	})
	if err != nil || len(v.Damage) != 2 || v.Damage[0].From != 64 ||
		v.Damage[1].To != inspect.BodyFileSize(size) {
		t.Errorf("with two chunks damaged: got %+v, %v", v, err)
	}
	v, err = check(func(path string, image *disktest.FS) {
		b, _ := image.ReadFile(path)
		image.WriteFile(path, b[:100])
	})
	if err != nil || len(v.Damage) != 1 ||
		v.Damage[0] != (inspect.BodyDamage{From: 64, To: inspect.BodyFileSize(size)}) {
		t.Errorf("cut short: got %+v, %v", v, err)
	}
	if _, err := check(func(path string,
		image *disktest.FS) {
		image.Corrupt(path, 20, 3)
	}); !errors.Is(err, wal.ErrDamaged) {
		t.Errorf("with a damaged header: got %v, want ErrDamaged", err)
	}
}

func TestASegmentWithoutAHeaderIsStillExamined(t *testing.T) {
	fsys := disktest.New()
	l := open(t, "q", wal.Options{FS: fsys})
	consumer(t, l)
	for i := range 5 {
		put(t, l, fmt.Sprint("item ", i))
	}
	syncNow(t, l) // so that its name is sure to be what the header said
	image := fsys.Clone()
	in := inspected(t, image)
	f := in.Files(inspect.SegmentFile)[0]
	image.Corrupt(in.Path(f), 20, 3)
	image.Corrupt(in.Path(f), 512+20, 3)
	v, err := in.OpenSegment(f)
	if err != nil || !v.Headless {
		t.Fatalf("got %+v, %v, want a segment without a header", v, err)
	}
	defer v.Close()
	n := 0
	for s := range v.Steps() {
		if s.Err != nil || s.Record.Kind != segment.KindItem {
			t.Errorf("got %+v, want an item", s)
		}
		n++
	}
	if n != 5 {
		t.Errorf("got %d items, want 5", n)
	}
}
