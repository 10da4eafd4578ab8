package segment

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

var coldDamages = flag.Int("cold-damages", 100, "random damages of cold files to try")

// flip flips the n-th bit of a cold file.
func flipIn(t *testing.T, fsys *disktest.FS, n int) {
	t.Helper()
	must(t, fsys.Corrupt(coldPath, int64(n/8), 1<<(n%8)))
}

// mustBeMended scrubs the file, and then again.
func mustBeMended(t *testing.T, fsys *disktest.FS, want []byte, where string) (first ScrubReport) {
	t.Helper()
	first, err := Scrub(fsys, coldPath, true, nil)
	must(t, err)
	now, err := fsys.ReadFile(coldPath)
	must(t, err)
	if !bytes.Equal(now, want) || first.Mended != len(first.Damaged) || first.Lost > 0 {
		t.Fatalf("%s: got report %+v, want all mended", where, first)
	}
	if r, err := Scrub(fsys, coldPath, true, nil); err != nil || len(r.Damaged) > 0 {
		t.Fatalf("%s: a second scrub: got %+v, %v, want no damage", where, r, err)
	}
	return first
}

func TestAFlippedBitOfAColdFileCostsNothing(t *testing.T) {
	stored := items(8, true, 0, 10, 100)
	for parity := range 3 {
		t.Run(fmt.Sprint("parity ", parity), func(t *testing.T) {
			fsys := disktest.New()
			b := coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: parity})
			used := usedBytes(t, fsys)
			rng := rand.New(rand.NewPCG(3, 4))
			for at := range b {
				bits := []int{rng.IntN(8)} // most of the file is zeros, where any bit will do
				if used[at] && !testing.Short() {
					bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
				}
				for _, bit := range bits {
					flipIn(t, fsys, 8*at+bit)
					costsNothing(t, fsys, stored, at)
					r, err := Scrub(fsys, coldPath, true, nil)
					must(t, err)
					now, _ := fsys.ReadFile(coldPath)
					if !bytes.Equal(now, b) || r.Mended != 1 || r.Flipped != 1 || r.Lost > 0 {
						t.Fatalf("bit %d of byte %d: got report %+v, want one bit mended", bit, at, r)
					}
				}
			}
		})
	}
}

// usedBytes tells which bytes of the file are not zeros between the others.
func usedBytes(t *testing.T, fsys disk.FS) []bool {
	file, err := fsys.OpenRead(coldPath)
	must(t, err)
	defer file.Close()
	s := &scrubber{coldFile: coldFile{file: file}}
	must(t, s.open())
	used := make([]bool, s.h.size)
	for _, at := range s.h.copies() {
		s.use(at, coldHeaderLen)
	}
	for i := range s.entries {
		must(t, s.verifyEntry(i))
		must(t, s.verifyBlock(i))
	}
	for _, u := range s.used {
		for at := u.From; at < u.To; at++ {
			used[at] = true
		}
	}
	return used
}

// large are files of some MB: of noise, and of what shrinks to few blocks.
func large() map[string][]Record {
	return map[string][]Record{
		"noise":        items(600, true, 300, 3000, 9000, 100),
		"long items":   items(12, true, 200<<10, 100<<10),
		"what shrinks": items(20_000, false, 300, 310, 290),
	}
}

func TestFlippedBitsOneByOneCostNothing(t *testing.T) {
	for name, stored := range large() {
		for parity := range 3 {
			t.Run(fmt.Sprint(name, ", parity ", parity), func(t *testing.T) {
				fsys := disktest.New()
				b := coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: parity})
				rng := rand.New(rand.NewPCG(5, uint64(parity)))
				for range 10 {
					bit := rng.IntN(8 * len(b))
					flipIn(t, fsys, bit)
					costsNothing(t, fsys, stored, bit/8)
					mustBeMended(t, fsys, b, fmt.Sprint("bit ", bit))
				}
			})
		}
	}
}

func TestAHundredFlippedBitsAtOnceCostNothing(t *testing.T) {
	for name, stored := range large() {
		for parity := 1; parity <= 2; parity++ {
			t.Run(fmt.Sprint(name, ", parity ", parity), func(t *testing.T) {
				fsys := disktest.New()
				b := coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: parity})
				rng := rand.New(rand.NewPCG(7, uint64(parity)))
				for range 3 {
					for range 100 {
						flipIn(t, fsys, rng.IntN(8*len(b)))
					}
					costsNothing(t, fsys, stored, 0)
					r := mustBeMended(t, fsys, b, name)
					if r.Flipped != 100 {
						t.Errorf("got %d flipped bits in %d ranges, want 100", r.Flipped, len(r.Damaged))
					}
				}
			})
		}
	}
}

// In each group a page is lost. In the others of its blocks the same column has flipped bits.
func TestFlippedBitsBesideALostPageCostNothing(t *testing.T) {
	stored := items(40, true, 66<<10, 100<<10)
	for flips := 1; flips <= 2; flips++ {
		fsys := disktest.New()
		b := coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: 1})
		f := coldEntries(t, fsys)
		broken := bytes.Clone(b)
		for g := range f.h.groups() {
			from, _, to := f.h.group(g)
			clear(broken[f.entries[from].place+pieceSize:][:pieceSize])
			broken[f.entries[from].place+5*pieceSize] ^= 4
			for i, e := range f.entries[from+1 : to] {
				broken[int(e.place)+pieceSize+i] ^= 2
				if flips == 2 {
					broken[int(e.place)+5*pieceSize+i] ^= 2
				}
			}
		}
		must(t, fsys.WriteFile(coldPath, broken))
		costsNothing(t, fsys, stored, 0)
		mustBeMended(t, fsys, b, fmt.Sprint(flips, " flips"))
	}
}

// elsewhere is a file system of which only a range of a file can be read.
type elsewhere struct {
	disk.File
	from, to int64
}

func (f *elsewhere) ReadAt(p []byte, off int64) (int, error) {
	if off < f.from || off+int64(len(p)) > f.to {
		return 0, errors.New("read elsewhere")
	}
	return f.File.ReadAt(p, off)
}

func TestAFlippedBitIsMendedWithoutReadingTheRestOfItsGroup(t *testing.T) {
	fsys := disktest.New()
	stored := items(20, true, 66<<10, 100<<10)
	coldFrom(t, fsys, stored, ColdOptions{Parity: 1})
	e := *coldEntries(t, fsys).block(3)
	flipIn(t, fsys, 8*int(e.place)+12345)
	s := openCold(t, fsys)
	s.cold.file = &elsewhere{s.cold.file, int64(e.place), int64(e.place + e.stored)}
	r, _, err := s.At(e.from)
	must(t, err)
	if want := stored[e.first-stored[0].Seq]; !same(r, want) || s.Rebuilt() != 1 {
		t.Fatalf("got record %d, %d rebuilt, want record %d and 1", r.Seq, s.Rebuilt(), want.Seq)
	}
}

// Whatever happens to a cold file, what can be read of it is what was written. With
// -cold-damages=100000 this is the long form.
func TestDamageOfAColdFileNeverGivesAWrongByte(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	layout := layouts()
	var names []string
	for name := range layout {
		names = append(names, name)
	}
	for i := range *coldDamages {
		name, parity := names[rng.IntN(len(names))], rng.IntN(3)
		where := fmt.Sprintf("seed %d, damage %d of %s with parity %d", seed, i, name, parity)
		fsys := disktest.New()
		b := coldFrom(t, fsys, layout[name], ColdOptions{Codec: CodecZstd, Parity: parity})
		for range 1 + rng.IntN(12) {
			damageSome(rng, b)
		}
		must(t, fsys.WriteFile(coldPath, b))
		mustBeTrue(t, fsys, layout[name], where)
		_, _ = Scrub(fsys, coldPath, true, nil)
		mustBeTrue(t, fsys, layout[name], where+", scrubbed")
	}
}

// damageSome damages b in one of several ways.
func damageSome(rng *rand.Rand, b []byte) {
	at := rng.IntN(len(b))
	switch page := at &^ (pieceSize - 1); rng.IntN(6) {
	case 0, 1, 2:
		checksum.Flip(b, 8*at+rng.IntN(8))
	case 3:
		clear(b[page:min(len(b), page+pieceSize)])
	case 4:
		for i := range b[at:min(len(b), at+1+rng.IntN(600))] {
			b[at+i] = byte(rng.Uint32())
		}
	default: // another place's bytes
		copy(b[at:min(len(b), at+pieceSize)], b[rng.IntN(len(b)):])
	}
}

// mustBeTrue fails if a record can be read that is not one of those stored.
func mustBeTrue(t *testing.T, fsys disk.FS, stored []Record, where string) {
	t.Helper()
	s, _, err := Open(fsys, coldPath, OpenOptions{})
	if err != nil {
		return
	}
	defer s.Close()
	for _, r := range walk(t, s) {
		if i := r.Seq - testHeader.First; i >= uint64(len(stored)) || !same(r, stored[i]) {
			t.Fatalf("%s: got another record %d, want the one that was written", where, r.Seq)
		}
	}
}

func TestAColdFileOfVersion1IsOfAnotherVersion(t *testing.T) {
	b := make([]byte, 8<<10)
	for _, at := range []int{0, headerCopy, len(b) - 128} {
		copy(b[at:], coldMagic)
		b[at+versionPlace] = 1
	}
	fsys := disktest.New()
	must(t, fsys.WriteFile(coldPath, b))
	_, _, err := Open(fsys, coldPath, OpenOptions{Write: true})
	mustBe(t, err, ErrVersion)
	_, err = Scrub(fsys, coldPath, true, nil)
	mustBe(t, err, ErrVersion)
	if now, _ := fsys.ReadFile(coldPath); !bytes.Equal(now, b) {
		t.Fatal("got other bytes in the file, want it untouched")
	}
}

// Records for one consumer, due later, with notes, of any length: the file says of each what it
// was, and in its header when the first expires and the last is due.
func TestAColdFileHoldsConsumersDueTimesAndNotes(t *testing.T) {
	stored := items(60, true, 0, 1, 7, 8, 9, 300, 4096, 70<<10, 131056, 131057, 1<<20)
	fsys := disktest.New()
	s := newSegment(t, fsys, 16<<20)
	for i := range stored {
		later(&stored[i])
	}
	for _, r := range stored {
		appendItem(t, s, r)
	}
	must(t, s.Seal())
	keep := func(r *Record) bool {
		return r.Seq%7 != 0
	}
	must(t, WriteCold(fsys, coldPath, []*Segment{s}, DefaultCold(), keep, nil))
	kept, want := []Record(nil), Totals{}
	for _, r := range stored {
		if keep(&r) {
			kept = append(kept, r)
			want.add(&r)
		}
	}
	want.Last = s.Last()
	c := openCold(t, fsys)
	v, err := c.Judge()
	must(t, err)
	if v.Totals.Last = want.Last; c.Totals() != want || v.Totals != want {
		t.Fatalf("got totals %+v, judged %+v, want %+v", c.Totals(), v.Totals, want)
	}
	off := uint32(HeaderSize)
	for _, r := range kept {
		got, next, err := c.At(off)
		must(t, err)
		end := off + uint32(virtualSize(&r))
		if !same(got, r) || next != end {
			t.Fatalf("record %d: got %d, next at %d, want %d", r.Seq, got.Seq, next, end)
		}
		off = next
	}
	if _, _, err := c.At(off); err != io.EOF {
		t.Fatalf("after the last: got %v, want io.EOF", err)
	}

	// What expires first and what is due last is dropped, and the file made of the rest says which
	// these are then.
	others := func(r *Record) bool {
		return r.Expires != want.EarliestExpiry && r.Due != want.LatestDue
	}
	must(t, WriteCold(fsys, "/less", []*Segment{c}, DefaultCold(), others, nil))
	less, _, err := Open(fsys, "/less", OpenOptions{})
	must(t, err)
	var rest Totals
	for _, r := range kept {
		if others(&r) {
			rest.add(&r)
		}
	}
	if got := less.Totals(); got.EarliestExpiry != rest.EarliestExpiry ||
		got.LatestDue != rest.LatestDue || rest.LatestDue >= want.LatestDue {
		t.Fatalf("got %+v, want the times of what is left, %+v", got, rest)
	}
}
