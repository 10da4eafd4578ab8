package wal_test

// Flipped bits in offset files and in the bodies of large items cost nothing.

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/wal"
)

// flippable is a log at rest, and what it delivers.
type flippable struct {
	fs     *disktest.FS
	items  map[uint64][]byte // that are not taken
	large  int
	places []flipPlace
}

// flipPlace is what one checksum covers, or what should be zeros.
type flipPlace struct {
	file     string
	from, to int
}

func newFlippable(t *testing.T) *flippable {
	t.Helper()
	s := &flippable{items: map[uint64][]byte{}}
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	for i := range 100 {
		size, store := 100, func(l *wal.Log, b []byte) (wal.Position, error) {
			return l.Append(b, wal.Meta{})
		}
		if i%25 == 7 {
			size, store = 300_000+i, upload
			s.large++
		}
		b := body(fmt.Sprintf("%06d", i), size)
		p, err := store(l, b)
		if err != nil {
			t.Fatal(err)
		}
		s.items[p.Seq] = b
	}
	for range 60 {
		p, _, _, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		c.NoteDelivered(p, 1)
		if !p.Large() && p.Seq%2 == 0 {
			if err := c.Take(p); err != nil {
				t.Fatal(err)
			}
			delete(s.items, p.Seq)
		}
	}
	settle(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.fs = m.FS
	for _, name := range m.Names("/data/q") {
		s.addPlaces(t, path.Join("/data/q", name))
	}
	return s
}

func (s *flippable) addPlaces(t *testing.T, file string) {
	t.Helper()
	const header, stride = 64, 64<<10 + 8
	var ends []int
	switch path.Ext(file) {
	case ".off":
		ends = []int{slotSize, slotSpacing, slotSpacing + slotSize, entriesAt}
		for at := entriesAt; at < 4096; at += entrySize {
			ends = append(ends, at+entrySize)
		}
	case ".item":
		size := len(s.content(t, s.fs, file))
		for at := header; at < size; at += stride {
			ends = append(ends, at)
		}
		ends = append(ends, size)
	}
	from := 0
	for _, to := range ends {
		s.places = append(s.places, flipPlace{file, from, to})
		from = to
	}
}

func (s *flippable) content(t *testing.T, fsys *disktest.FS, file string) []byte {
	t.Helper()
	b, err := fsys.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flipped is the log with one bit flipped in each of n places, and how.
func (s *flippable) flipped(t *testing.T, rng *rand.Rand, n int) (m memory, how string) {
	t.Helper()
	m = memory{s.fs.Clone(), t}
	for _, i := range rng.Perm(len(s.places))[:n] {
		p := s.places[i]
		at, bit := p.from+rng.IntN(p.to-p.from), rng.IntN(8)
		if err := m.Corrupt(p.file, int64(at), 1<<bit); err != nil {
			t.Fatal(err)
		}
		how += fmt.Sprintf("bit %d of byte %d of %s\n", bit, at, p.file)
	}
	return m, how
}

// delivers reads all items of a log, and takes none.
func (s *flippable) delivers(t *testing.T, l *wal.Log, how string) {
	t.Helper()
	c := consumer(t, l)
	got := 0
	for ; ; got++ {
		p, _, ok, err := c.Next()
		if err != nil {
			t.Fatalf("%s%v", how, err)
		}
		if !ok {
			break
		}
		b, err := readAny(l, p)
		if want, ok := s.items[p.Seq]; err != nil || !ok || !bytes.Equal(b, want) {
			t.Fatalf("%sitem %d: got %.20q, %v, want %.20q", how, p.Seq, b, err, want)
		}
	}
	if got != len(s.items) {
		t.Fatalf("%sgot %d items, want %d", how, got, len(s.items))
	}
}

// whole compares the bodies with what was written.
func (s *flippable) whole(t *testing.T, m memory, how string) {
	t.Helper()
	for _, name := range m.files(".item") {
		file := path.Join("/data/q", name)
		if !bytes.Equal(s.content(t, m.FS, file), s.content(t, s.fs, file)) {
			t.Fatalf("%s%s is not mended", how, name)
		}
	}
	if len(m.files(".item")) != s.large {
		t.Fatalf("%sgot the bodies %q, want %d", how, m.files(".item"), s.large)
	}
}

func TestFlippedBitsInOffsetFilesAndBodiesCostNothing(t *testing.T) {
	s := newFlippable(t)
	alone := uint64(stride(100, 100, 15)) // one bit at a time, then a hundred
	for seed := range alone * 6 / 5 {
		n := 1
		if seed >= alone {
			n = 100
		}
		m, how := s.flipped(t, rand.New(rand.NewPCG(seed, 13)), n)
		l, said := m.openRecording()
		s.delivers(t, l, how)
		s.delivers(t, memory{m.Clone(), t}.open(), how) // mended on the way or not
		settle(l)
		if st := l.Stats(); st.Mended != uint64(n) || st.Damaged != 0 || said()[0] != "" {
			t.Fatalf("%sgot %d mended, %d damaged and the errors %q, want %d and none",
				how, st.Mended, st.Damaged, said(), n)
		}
		s.whole(t, m, how)
		if set := m.Names("/data/q/.quarantine/q"); len(set) > 0 {
			t.Fatalf("%sgot %q set aside, want nothing", how, set)
		}
		l.Close()
		if _, err := examine(m.FS, "/data/q"); err != nil {
			t.Fatalf("%s%v", how, err)
		}
	}
}

func TestFlippedBitsInOffsetFilesAndBodiesAreRepaired(t *testing.T) {
	s := newFlippable(t)
	for seed := range uint64(20) {
		m, how := s.flipped(t, rand.New(rand.NewPCG(seed, 14)), 100)
		for _, want := range []int{fsck.ExitRepaired, fsck.ExitClean} {
			res, err := fsck.Run("/data/q", fsck.Options{FS: m.FS, Repair: true})
			if err != nil || res.Exit() != want || res.Lost != 0 {
				t.Fatalf("%sgot %+v, %v, want exit code %d", how, res, err, want)
			}
		}
		s.whole(t, m, how)
		l := m.open()
		s.delivers(t, l, how)
		if st := l.Stats(); st.Mended != 0 || st.Damaged != 0 {
			t.Fatalf("%sgot %+v after a repair, want nothing to mend", how, st)
		}
	}
}

// A body that nobody reads is mended before a second bit is flipped.
func TestFlippedBitsInBodiesAreScrubbedAway(t *testing.T) {
	s := newFlippable(t)
	m := memory{s.fs.Clone(), t}
	items := m.files(".item")
	for i, name := range items {
		if err := m.Corrupt("/data/q/"+name, int64(20+70_000*i), 1); err != nil {
			t.Fatal(err)
		}
	}
	scrubber := &wal.Scrubber{FS: m.FS, Logger: quiet(), Rate: -1}
	for _, want := range []uint64{uint64(len(items)), 0} {
		if n, err := scrubber.Scrub(t.Context(), "/data/q"); n != want || err != nil {
			t.Fatalf("got %d mended, %v, want %d", n, err, want)
		}
	}
	s.whole(t, m, "")
}

// A body that cannot be written is delivered all the same, and its flipped bit is counted once.
func TestABodyThatCannotBeMendedOnTheDiskIsMendedWheneverItIsRead(t *testing.T) {
	s := newFlippable(t)
	m := memory{s.fs.Clone(), t}
	file := path.Join("/data/q", m.files(".item")[0])
	if err := m.Corrupt(file, 100_000, 1); err != nil {
		t.Fatal(err)
	}
	l := m.open()
	m.Fail(func(op disktest.Op, name string, _ int) error {
		if op == disktest.OpWrite && name == file {
			return errors.New("input/output error")
		}
		return nil
	})
	c := consumer(t, l)
	p, _, _, err := c.Next()
	for err == nil && !p.Large() {
		p, _, _, err = c.Next()
	}
	for range 3 {
		if b, e := readAny(l, p); err != nil || e != nil || !bytes.Equal(b, s.items[p.Seq]) {
			t.Fatalf("got %.20q, %v, %v", b, err, e)
		}
		settle(l)
	}
	if n := l.Stats().Mended; n != 1 {
		t.Errorf("got %d mended, want 1", n)
	}
}

// Whoever meets a file of the first format says so, and changes nothing.
func TestALogOfAnotherFormatIsRefusedAndNotTouched(t *testing.T) {
	s := newFlippable(t)
	item := ""
	for _, name := range s.fs.Names("/data/q") {
		if strings.HasSuffix(name, ".item") {
			item = name
		}
	}
	for what, change := range map[string]func(m memory) string{
		"offset file": func(memory) string { return "consumer.off" },
		"rewrite": func(m memory) string {
			b := s.content(t, m.FS, "/data/q/consumer.off")
			m.WriteFile("/data/q/consumer.off.new", b)
			return "consumer.off.new"
		},
		"segment": func(m memory) string {
			segments := m.files(".seg")
			return segments[len(segments)-1]
		},
		"body": func(memory) string { return item },
		"upload": func(m memory) string {
			m.WriteFile("/data/q/00000000000000000077.part", s.content(t, m.FS, "/data/q/"+item))
			return "00000000000000000077.part"
		},
	} {
		m := memory{s.fs.Clone(), t}
		file := "/data/q/" + change(m)
		b := s.content(t, m.FS, file)
		b[8] = 1
		if !strings.HasSuffix(file, ".item") && !strings.HasSuffix(file, ".part") {
			b[512+8] = 1
		}
		m.WriteFile(file, b)
		before := m.Clone()
		_, err := wal.Open("/data/q", options(m.FS))
		if err == nil || !strings.Contains(err.Error(), file+
			": is of format version 1, which this program does not read") {
			t.Errorf("%s: got %v", what, err)
		}
		for _, name := range before.Names("/data/q") {
			file := path.Join("/data/q", name)
			was := s.content(t, before, file)
			if now, err := m.ReadFile(file); err != nil || !bytes.Equal(now, was) {
				t.Errorf("%s: %s was touched", what, name)
			}
		}
		if got, want := m.Names("/data/q"), before.Names("/data/q"); len(got) != len(want) {
			t.Errorf("%s: got the files %q, want %q", what, got, want)
		}
	}
}
