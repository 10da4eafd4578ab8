package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"pgregory.net/rapid"
)

const coldPath = "q/1.cold"

func all(*Record) bool { return true }

// coldFrom writes the cold form of a segment that holds the records.
func coldFrom(t testing.TB, fsys *disktest.FS, records []Record, o ColdOptions) []byte {
	t.Helper()
	size := int64(HeaderSize + 64<<10)
	for i := range records {
		size += records[i].Size()
	}
	s := newSegment(t, fsys, size)
	for _, r := range records {
		appendItem(t, s, r)
	}
	must(t, s.Seal())
	must(t, WriteCold(fsys, coldPath, []*Segment{s}, o, all, nil))
	must(t, s.Close())
	b, err := fsys.ReadFile(coldPath)
	must(t, err)
	return b
}

func openCold(t testing.TB, fsys disk.FS) *Segment {
	t.Helper()
	s, damage, err := Open(fsys, coldPath, OpenOptions{})
	must(t, err)
	if len(damage) > 0 {
		t.Fatalf("got damage %v on opening, want none", damage)
	}
	return s
}

// later makes some records due later, some for one consumer alone, and gives some a note.
func later(r *Record) {
	if r.Seq%3 == 0 {
		r.Due = r.Enqueued + int64(r.Seq%7000) - 1000
	}
	if r.Seq%5 == 0 {
		r.Consumer = uint16(r.Seq)
	}
	if r.Seq%7 == 0 {
		r.Note = bytes.Repeat([]byte{byte(r.Seq)}, 1+int(r.Seq%MaxNote))
	}
}

// items returns n items, with the given sizes over and over.
func items(n int, noise bool, sizes ...int) (records []Record) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		r := item(testHeader.First+uint64(i), sizes[i%len(sizes)])
		if noise {
			for k := range r.Payload {
				r.Payload[k] = byte(rng.Uint32())
			}
		}
		records = append(records, r)
	}
	return records
}

var codecs = []Codec{CodecNone, CodecS2, CodecZstd}

func TestColdFormHoldsWhatTheSegmentHeld(t *testing.T) {
	step := 1
	if testing.Short() {
		step = maxParity
	}
	for _, codec := range codecs {
		for parity := 0; parity <= maxParity; parity += step {
			t.Run(fmt.Sprint(codec, parity), func(t *testing.T) {
				fsys := disktest.New()
				stored := items(400, false, 0, 1, 300, 1000, 40, 5000, 700, 10, 90, 20<<10, 150<<10)
				coldFrom(t, fsys, stored, ColdOptions{Codec: codec, Parity: parity})
				s := openCold(t, fsys)
				defer s.Close()
				mustHold(t, s, stored)
				if !s.Sealed() || !s.Cold() || s.Rebuilt() > 0 {
					t.Fatalf("got sealed %v, cold %v, rebuilt %d, want true, true, 0", s.Sealed(), s.Cold(), s.Rebuilt())
				}
				v, err := s.Judge()
				must(t, err)
				if v.Totals != s.Totals() || v.Tail != s.Tail() || len(v.Damage) > 0 {
					t.Fatalf("got verdict %+v, want %+v to %d", v, s.Totals(), s.Tail())
				}
				r, err := Scrub(fsys, coldPath, false, nil)
				must(t, err)
				if len(r.Damaged) > 0 {
					t.Fatalf("got scrub report %+v, want no damage", r)
				}
			})
		}
	}
}

func TestColdFormIsAModelOfItsSources(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fsys := disktest.New()
		var sources []*Segment
		var want []Record
		next, now := uint64(rapid.Uint64Range(1, 1<<62).Draw(t, "first")), int64(rapid.Int64().Draw(t, "now"))
		keep := func(r *Record) bool {
			return r.Seq*2654435761%10 < 7
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "sources") {
			s, err := Create(fsys, fmt.Sprint("/", i), 1<<20)
			must2(t, err)
			h := Header{First: next, ItemsBefore: 5, BytesBefore: 6, Created: 1700000000000}
			must2(t, s.Start(h))
			steady := rapid.Bool().Draw(t, "steady")
			for range rapid.IntRange(0, 60).Draw(t, "records") {
				r := drawColdRecord(t, next, now, steady)
				must2(t, s.Extend(r.Size()))
				if _, err := s.Append(&r); errors.Is(err, ErrFull) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				next, now = r.Seq+1, r.Enqueued
				if keep(&r) {
					want = append(want, r)
				}
			}
			next = max(next, s.Header().First+1)
			must2(t, s.Seal())
			if rapid.Bool().Draw(t, "cold") {
				path := fmt.Sprint("/", i, ".cold")
				must2(t, WriteCold(fsys, path, []*Segment{s}, drawOptions(t), all, nil))
				s, _, err = Open(fsys, path, OpenOptions{})
				must2(t, err)
			}
			sources = append(sources, s)
		}
		must2(t, WriteCold(fsys, "/c", sources, drawOptions(t), keep, nil))
		s, damage, err := Open(fsys, "/c", OpenOptions{})
		must2(t, err)
		checkColdModel(t, s, sources, want)
		if len(damage) > 0 {
			t.Fatalf("got damage %v, want none", damage)
		}
	})
}

func drawOptions(t *rapid.T) ColdOptions {
	return ColdOptions{
		Codec:  rapid.SampledFrom(codecs).Draw(t, "codec"),
		Parity: rapid.IntRange(0, maxParity).Draw(t, "parity"),
	}
}

func drawColdRecord(t *rapid.T, next uint64, now int64, steady bool) Record {
	r := Record{Seq: next, Kind: KindItem, Enqueued: now + 1}
	long := rapid.SampledFrom([]int{0, 1000, 60 << 10, 130 << 10})
	size := rapid.OneOf(rapid.IntRange(0, 300), long).Draw(t, "size")
	r.Payload = make([]byte, size)
	seed := rapid.Uint64().Draw(t, "payload")
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range r.Payload {
		r.Payload[i] = byte(rng.Uint32N(1 << (seed % 9)))
	}
	if later(&r); steady {
		return r
	}
	r.Seq += rapid.Uint64Range(0, 3).Draw(t, "gap")
	if size <= inlineMost {
		r.Kind = rapid.SampledFrom([]Kind{KindItem, KindLarge}).Draw(t, "kind")
	}
	r.Flags, r.ClientFlags = rapid.Uint8().Draw(t, "flags")&^ownFlags, rapid.Uint32().Draw(t, "clientFlags")
	r.Enqueued = rapid.OneOf(rapid.Int64(), rapid.Just(now)).Draw(t, "enqueued")
	r.Expires = rapid.OneOf(rapid.Int64(), rapid.Just(int64(0)), rapid.Just(now+60000)).Draw(t, "expires")
	return r
}

func checkColdModel(t *rapid.T, s *Segment, sources []*Segment, want []Record) {
	totals := Totals{}
	h := sources[0].Header()
	h.Salt = s.Header().Salt
	off := uint32(HeaderSize)
	for i := range want {
		totals.add(&want[i])
		r, next, err := s.At(off)
		must2(t, err)
		if !same(r, want[i]) {
			t.Fatalf("record %d at byte %d is %v, want %v", i, off, r, want[i])
		}
		if found, err := s.Find(r.Seq); err != nil || found != off {
			t.Fatalf("record %d at %d: found at %d, %v, want there", r.Seq, off, found, err)
		}
		if found, err := s.Resync(off); err != nil || found != off {
			t.Fatalf("resync from %d: got %d, %v, want the same record", off, found, err)
		}
		size, end := uint32(virtualSize(&r)), s.BlockEnd(off)
		if next != off+size || off+1 > end || end < next {
			t.Fatalf("record at %d: got next %d in a block up to %d, want %d, in the block",
				off, next, end, off+size)
		}
		must2(t, s.Prefetch(off))
		off = next
	}
	totals.Last = sources[len(sources)-1].Last()
	if _, _, err := s.At(off); err != io.EOF || off != s.Tail() {
		t.Fatalf("got %v at the end, %d, want io.EOF at the tail, %d", err, off, s.Tail())
	}
	if s.Totals() != totals || s.Header() != h || s.Last() != totals.Last {
		t.Fatalf("got totals %+v, want %+v; got header %+v, want %+v",
			s.Totals(), totals, s.Header(), h)
	}
	if _, err := s.Find(totals.Last + 1); err != io.EOF {
		t.Fatalf("after the last record: got %v, want io.EOF", err)
	}
}

func TestAnEmptyColdFileKeepsItsNumbers(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	fill(t, s, 50)
	none := func(*Record) bool { return false }
	must(t, WriteCold(fsys, coldPath, []*Segment{s}, ColdOptions{Parity: 1}, none, nil))
	c := openCold(t, fsys)
	_, _, err := c.At(HeaderSize)
	if err != io.EOF || c.Last() != s.Last() || c.Totals().Items != 0 {
		t.Fatalf("got %v, last %d, totals %+v, want no record and last %d",
			err, c.Last(), c.Totals(), s.Last())
	}
	must(t, c.Prefetch(HeaderSize))
}

func TestAColdSegmentTakesNothing(t *testing.T) {
	fsys := disktest.New()
	coldFrom(t, fsys, items(10, false, 100), ColdOptions{})
	s, _, err := Open(fsys, coldPath, OpenOptions{Write: true})
	must(t, err)
	r := item(1000, 1)
	_, err = s.Append(&r)
	for _, err := range []error{err, s.Seal(), s.Trim(), s.Extend(100), s.Start(Header{})} {
		mustBe(t, err, ErrReadOnly)
	}
}

// sick is a file system with one page that the disk does not return until it is written.
type sick struct {
	disk.FS
	from, to int64
}

func (f *sick) Open(name string) (disk.File, error)     { return f.wrap(f.FS.Open(name)) }
func (f *sick) OpenRead(name string) (disk.File, error) { return f.wrap(f.FS.OpenRead(name)) }

func (f *sick) wrap(h disk.File, err error) (disk.File, error) { return &sickFile{h, f}, err }

type sickFile struct {
	disk.File
	fs *sick
}

func (f *sickFile) ReadAt(p []byte, off int64) (int, error) {
	if off < f.fs.to && off+int64(len(p)) > f.fs.from {
		return 0, fmt.Errorf("read: %w", syscall.EIO)
	}
	return f.File.ReadAt(p, off)
}

// layouts are records that make small files of different shapes.
func layouts() map[string][]Record {
	return map[string][]Record{
		"no record":           nil,
		"one short block":     items(5, true, 100),
		"short between long":  items(8, true, 130<<10, 3000, 129<<10, 7900),
		"blocks around 8 KiB": items(60, true, 8000, 8400, 120<<10, 4000, 3900, 130<<10, 12000),
		"blocks that shrink":  items(2500, false, 300, 310),
		"several groups":      items(18, true, 66<<10, 100<<10),
	}
}

func TestALostSectorOrPageOfAColdFileCostsNothing(t *testing.T) {
	for name, stored := range layouts() {
		for _, size := range []int{512, 4096} {
			t.Run(fmt.Sprint(name, ", ", size, " bytes"), func(t *testing.T) {
				fsys := disktest.New()
				b := coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: 1})
				edges, every := coldEdges(t, fsys), 1
				if testing.Short() || len(b) > 1<<20 {
					every += len(b) / size / 40
				}
				for at := 0; at < len(b); at += size {
					end := min(at+size, len(b))
					edge := func(e uint32) bool { return at <= int(e) && int(e) <= end }
					if at/size%every > 0 && !slices.ContainsFunc(edges, edge) {
						continue
					}
					broken := bytes.Clone(b)
					clear(broken[at:end])
					must(t, fsys.WriteFile(coldPath, broken))
					costsNothing(t, fsys, stored, at)
					must(t, fsys.WriteFile(coldPath, b))
					costsNothing(t, &sick{fsys, int64(at), int64(end)}, stored, at)
				}
			})
		}
	}
}

// coldEdges returns where the blocks of a file start and end.
func coldEdges(t *testing.T, fsys disk.FS) (edges []uint32) {
	f := coldEntries(t, fsys)
	for _, e := range f.entries {
		edges = append(edges, e.place, e.place+e.stored)
	}
	return edges
}

func costsNothing(t *testing.T, fsys disk.FS, stored []Record, at int) {
	t.Helper()
	s, damage, err := Open(fsys, coldPath, OpenOptions{})
	if err != nil || len(damage) > 0 {
		t.Fatalf("damage at byte %d: got %v, %v, want it to open", at, err, damage)
	}
	defer s.Close()
	got := walk(t, s)
	if len(got) != len(stored) {
		t.Fatalf("damage at byte %d: got %d records, want %d", at, len(got), len(stored))
	}
	for i := range got {
		if !same(got[i], stored[i]) {
			t.Fatalf("damage at byte %d: got another record %d, want the one that was written", at, got[i].Seq)
		}
	}
}
