package wal_test

// Rot: every kind of damage to every file of a log at rest. The log opens, delivers everything that
// was not touched in order, delivers no wrong byte, counts and sets aside what it skipped, and goes
// on.

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/wal"
)

var rotAll = flag.Bool("rot-all", false,
	"every bit of the sample, every sector and every length, rather than some")

// stride is how much of all that could be done is left out.
func stride(all, some, few int) int {
	switch {
	case *rotAll:
		return all
	case testing.Short():
		return few
	}
	return some
}

// stock is a log at rest and all that is known of it.
type stock struct {
	fs        *disktest.FS
	yesterday *disktest.FS // the same log earlier
	files     []string
	items     map[uint64][]byte // by number
	taken     map[uint64]bool
	places    map[string][]place // of the items in each file, in order
}

type place struct {
	seq      uint64
	from, to int64
}

const rotDir = "/data/q"

func newStock(t *testing.T) *stock {
	s := &stock{items: map[uint64][]byte{}, taken: map[uint64]bool{}, places: map[string][]place{}}
	m := newMemory(t)
	l := m.open()
	c := consumer(t, l)
	keep := func(p wal.Position, b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		s.items[p.Seq] = b
	}
	for i := range 420 {
		b := body(fmt.Sprintf("%06d", i), 200+i*37%700)
		if i%130 == 70 {
			b = body(fmt.Sprintf("%06d", i), 70_000)
			p, err := upload(l, b)
			keep(p, b, err)
		} else {
			p, err := l.Append(b, wal.Meta{})
			keep(p, b, err)
		}
		if i%4 == 0 {
			// Some of them out of order.
			if p, _, ok, err := c.Next(); ok && err == nil && (i < 80 || i%3 == 0) {
				s.taken[p.Seq] = true
				c.Take(p)
			}
		}
		if i == 320 {
			l.Sync()
			s.yesterday = m.Clone()
		}
	}
	settle(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.fs = m.FS
	for _, name := range s.fs.Names(rotDir) {
		if !strings.HasPrefix(name, ".") {
			s.files = append(s.files, path.Join(rotDir, name))
		}
	}
	for _, name := range s.files {
		s.locate(t, name)
	}
	if n := len(m.files(".seg")); n < 4 {
		t.Fatalf("got %d segments, want at least 4", n)
	}
	return s
}

// locate finds the items in a file.
func (s *stock) locate(t *testing.T, name string) {
	if base := path.Base(name); strings.HasSuffix(base, ".item") {
		var seq uint64
		fmt.Sscanf(base, "%d", &seq)
		b, _ := s.fs.ReadFile(name)
		s.places[name] = []place{{seq, 0, int64(len(b))}}
	}
	if !strings.HasSuffix(name, ".seg") {
		return
	}
	seg, _, err := segment.Open(s.fs, name, segment.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	for at := uint32(segment.HeaderSize); at < seg.Tail(); {
		r, next, err := seg.At(at)
		if err != nil {
			t.Fatal(err)
		}
		s.places[name] = append(s.places[name], place{r.Seq, int64(at), int64(next)})
		at = next
	}
}

// hit adds the items of a file that are touched by a change of a range.
func (s *stock) hit(touched map[uint64]bool, name string, from, to int64) {
	for _, p := range s.places[name] {
		if p.from < to && from < p.to {
			touched[p.seq] = true
		}
	}
}

// rotten is a stock after some damage.
type rotten struct {
	fs      *disktest.FS
	what    string
	touched map[uint64]bool
	again   bool // what was taken may come again: the offset file is hit
}

func (s *stock) rot(what string, args ...any) *rotten {
	return &rotten{fs: s.fs.Clone(), what: fmt.Sprintf(what, args...), touched: map[uint64]bool{}}
}

func (s *stock) change(r *rotten, name string, from, to int64, with []byte) {
	b, _ := r.fs.ReadFile(name)
	if to = min(to, int64(len(b))); bytes.Equal(b[from:to], with[:to-from]) {
		return
	}
	copy(b[from:to], with)
	r.fs.WriteFile(name, b)
	s.hit(r.touched, name, from, to)
	r.again = r.again || strings.Contains(name, ".off")
}

// check opens what is left, drains it and judges.
func (s *stock) check(t *testing.T, r *rotten) {
	t.Helper()
	l, err := wal.Open(rotDir, options(r.fs))
	if err != nil {
		t.Fatalf("%s: %v", r.what, err)
	}
	defer l.Close()
	c, err := l.Consumer("", wal.Oldest)
	if err != nil {
		t.Fatalf("%s: %v", r.what, err)
	}
	came := map[uint64]bool{}
	last, dropped := uint64(0), 0
	for {
		p, _, ok, err := c.Next()
		if err != nil {
			t.Fatalf("%s: %v", r.what, err)
		}
		if !ok {
			break
		}
		b, err := readAny(l, p)
		switch {
		case errors.Is(err, wal.ErrDamaged) && r.touched[p.Seq]:
			dropped++
			continue
		case err != nil:
			t.Fatalf("%s: item %d: %v", r.what, p.Seq, err)
		case !bytes.Equal(b, s.items[p.Seq]):
			t.Fatalf("%s: item %d: got wrong bytes", r.what, p.Seq)
		case p.Seq <= last:
			t.Fatalf("%s: got item %d after %d", r.what, p.Seq, last)
		case s.taken[p.Seq] && !r.again:
			t.Fatalf("%s: got item %d again, which was taken", r.what, p.Seq)
		}
		last = p.Seq
		came[p.Seq] = true
	}
	lost, atEnd := 0, 0
	for _, seq := range slices.Sorted(maps.Keys(s.items)) {
		switch {
		case s.taken[seq] || came[seq]:
		case !r.touched[seq]:
			t.Fatalf("%s: item %d is lost though it was not touched", r.what, seq)
		case seq > last: // as after a power cut: nothing says that they were there
			atEnd++
		default:
			lost++
		}
	}
	if damaged := int(l.Stats().Damaged); !r.again &&
		(damaged+dropped < lost || damaged > lost+atEnd) {
		t.Fatalf("%s: %d items are lost, %d at the end; got %d damaged",
			r.what, lost, atEnd, damaged)
	}
	settle(l)
	if lost > dropped && !strings.HasPrefix(r.what, "delete") &&
		!strings.HasPrefix(r.what, "cut") && !strings.HasPrefix(r.what, "yesterday") &&
		len(r.fs.Names("/data/q/.quarantine/q")) == 0 {
		t.Fatalf("%s: %d items are lost; got nothing set aside", r.what, lost)
	}
	p, err := l.Append([]byte("new"), wal.Meta{})
	if err != nil || p.Seq <= last {
		t.Fatalf("%s: got number %d for the next item, %v", r.what, p.Seq, err)
	}
}

func readAny(l *wal.Log, p wal.Position) ([]byte, error) {
	if !p.Large() {
		b, _, err := l.Read(p, nil)
		return b, err
	}
	r, err := l.Open(p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (s *stock) sizeOf(name string) int64 {
	b, _ := s.fs.ReadFile(name)
	return int64(len(b))
}

func TestRotAFlippedBitCostsAtMostOneItem(t *testing.T) {
	s := newStock(t)
	step := stride(1, 1009, 4001)
	n := 0
	for _, name := range s.files {
		b, _ := s.fs.ReadFile(name)
		var sample []int64 // bytes: all of what is not items, and of some items
		for i := range int64(len(b)) {
			if i < 1200 || i >= int64(len(b))-400 || i/1000%16 == 3 {
				sample = append(sample, i)
			}
		}
		for ; n < len(sample)*8; n += step {
			at, bit := sample[n/8], byte(1)<<(n%8)
			r := s.rot("bit %d of byte %d of %s flipped", n%8, at, name)
			s.change(r, name, at, at+1, []byte{b[at] ^ bit})
			if len(r.touched) > 1 {
				t.Fatalf("%s is in %d items", r.what, len(r.touched))
			}
			s.check(t, r)
		}
		n -= len(sample) * 8
	}
}

func TestRotALostSectorCostsItsItems(t *testing.T) {
	s := newStock(t)
	step := int64(stride(1, 5, 29))
	for _, name := range s.files {
		for at := int64(0); at < s.sizeOf(name); at += 512 * step {
			if step > 1 && at >= 4096 && at+512*step < s.sizeOf(name) {
				at += 512 * (at / 512 % 3)
			}
			r := s.rot("sector at %d of %s zeroed", at, name)
			s.change(r, name, at, at+512, make([]byte, 512))
			s.check(t, r)
		}
		r := s.rot("first block of %s zeroed", name)
		s.change(r, name, 0, 4096, make([]byte, 4096))
		s.check(t, r)
	}
}

func TestRotAFileCutShortCostsWhatCameAfter(t *testing.T) {
	s := newStock(t)
	for _, name := range s.files {
		size := s.sizeOf(name)
		step := int64(1)
		if !*rotAll {
			step = size/int64(1200/stride(1, 40, 100)) + 1
		}
		for at := int64(0); at < size; at += step {
			if at == step && step > 1 { // less than any header has, too
				at = 1
			}
			r := s.rot("cut %s at %d", name, at)
			b, _ := r.fs.ReadFile(name)
			r.fs.WriteFile(name, b[:at])
			s.hit(r.touched, name, at, size)
			r.again = strings.Contains(name, ".off")
			s.check(t, r)
		}
	}
}

func TestRotSwappedSectorsCostTheirItems(t *testing.T) {
	s := newStock(t)
	for n := 0; n < 2000; n += stride(1, 20, 100) {
		name, other := s.files[n%len(s.files)], s.files[n/len(s.files)%len(s.files)]
		a, b := int64(n*7919)%(s.sizeOf(name)/512)*512, int64(n*104729)%(s.sizeOf(other)/512)*512
		r := s.rot("sectors at %d of %s and %d of %s swapped", a, name, b, other)
		one, _ := r.fs.ReadFile(name)
		two, _ := r.fs.ReadFile(other)
		first, second := bytes.Clone(one[a:a+512]), bytes.Clone(two[b:b+512])
		s.change(r, name, a, a+512, second)
		s.change(r, other, b, b+512, first)
		s.check(t, r)
	}
}

func TestRotYesterdaysCopyCostsWhatItLacks(t *testing.T) {
	s := newStock(t)
	for _, name := range s.files {
		old, err := s.yesterday.ReadFile(name)
		if err != nil {
			continue // it is of today
		}
		r := s.rot("yesterday's copy of %s", name)
		now, _ := s.fs.ReadFile(name)
		for _, p := range s.places[name] {
			if p.to > int64(len(old)) || !bytes.Equal(old[p.from:p.to], now[p.from:p.to]) {
				r.touched[p.seq] = true
			}
		}
		r.again = strings.Contains(name, ".off")
		r.fs.WriteFile(name, old)
		s.check(t, r)
	}
}

func TestRotADeletedFileCostsItsItems(t *testing.T) {
	s := newStock(t)
	for _, name := range s.files {
		r := s.rot("delete %s", name)
		if err := r.fs.Remove(name); err != nil {
			t.Fatal(err)
		}
		s.hit(r.touched, name, 0, s.sizeOf(name))
		r.again = strings.Contains(name, ".off")
		s.check(t, r)
	}
}
