package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

// coldEntries returns what the directory of a cold file says.
func coldEntries(t testing.TB, fsys disk.FS) *coldFile {
	t.Helper()
	s := openCold(t, fsys)
	return &s.cold.coldFile
}

// spoil damages two bytes, which is more than one flipped bit.
func spoil(b []byte, at uint32) {
	b[at] ^= 0x5a
	b[at+1] ^= 0xa5
}

func TestAnyBlocksOfAGroupAsManyAsItHasParityCostNothing(t *testing.T) {
	stored := items(20, true, 66<<10, 100<<10)
	for parity := 1; parity <= maxParity; parity++ {
		fsys := disktest.New()
		b := coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: parity})
		f := coldEntries(t, fsys)
		rng := rand.New(rand.NewPCG(8, uint64(parity)))
		for range 10 {
			broken := bytes.Clone(b)
			for g := range f.h.groups() {
				from, _, to := f.h.group(g)
				for _, k := range rng.Perm(to - from)[:parity] {
					e := f.entries[from+k]
					clear(broken[e.place : e.place+e.stored])
				}
			}
			must(t, fsys.WriteFile(coldPath, broken))
			costsNothing(t, fsys, stored, 0)
			r, err := Scrub(fsys, coldPath, true, nil)
			must(t, err)
			mended, _ := fsys.ReadFile(coldPath)
			if r.Mended == 0 || r.Lost > 0 || !bytes.Equal(mended, b) {
				t.Fatalf("with %d parity blocks: got %d mended and %d lost, want all mended and none lost", parity, r.Mended, r.Lost)
			}
			if r, err = Scrub(fsys, coldPath, true, nil); err != nil || len(r.Damaged) > 0 {
				t.Fatalf("a second scrub: got %+v, %v, want no damage", r, err)
			}
		}
	}
}

func TestDamageBeyondTheParityCostsTheBlocksItHitsAndNoOther(t *testing.T) {
	for _, parity := range []int{0, 1} {
		fsys := disktest.New()
		stored := items(1500, true, 0, 300, 3000, 1000)
		b := coldFrom(t, fsys, stored, ColdOptions{Codec: CodecS2, Parity: parity})
		f := coldEntries(t, fsys)
		if f.blocks() < 8 {
			t.Fatalf("got %d blocks, want more", f.blocks())
		}
		lost := map[int]bool{2: true, 3: true, f.blocks() - 1: true}
		for i := range lost {
			spoil(b, f.block(i).place+100)
		}
		must(t, fsys.WriteFile(coldPath, b))
		s := openCold(t, fsys)
		got := walk(t, s)
		v, err := s.Judge()
		must(t, err)
		if len(v.Damage) != 2 ||
			v.Damage[0].From != f.block(2).from || v.Damage[0].To != f.block(3).to ||
			v.Totals.Items != uint64(len(got)) {
			t.Fatalf("got verdict %+v, want blocks 2 and 3 as the damage", v)
		}
		off := uint32(HeaderSize)
		for i, r := range stored {
			in := lost[s.cold.search(off)]
			switch {
			case in && i%20 > 0:
			case !in && (len(got) == 0 || !same(got[0], r)):
				t.Fatalf("got record %d at %d, want the next one that is left", r.Seq, off)
			case !in:
				got = got[1:]
			default:
				_, _, err := s.At(off)
				mustBe(t, err, ErrDamaged)
				if found, err := s.Find(r.Seq); err == nil && found < s.BlockEnd(off) {
					t.Fatalf("record %d: found at %d, want where it was read", r.Seq, found)
				}
			}
			off += uint32(virtualSize(&r))
		}
		if len(got) > 0 {
			t.Fatalf("got %d records more than are left, want none", len(got))
		}
		from, to := s.FileRange(f.block(2).from, f.block(2).to)
		set, err := s.Bytes(f.block(2).from, f.block(2).to)
		if must(t, err); !bytes.Equal(set, b[from:to]) || from != f.block(2).place {
			t.Fatal("got other bytes to set aside, want those of the damaged block")
		}
		r, err := Scrub(fsys, coldPath, true, nil)
		if must(t, err); r.Lost != 3 || r.Mended > 0 {
			t.Fatalf("got scrub report %+v, want 3 ranges lost and none mended", r)
		}
		must(t, s.Close())
	}
}

func TestEitherCopyOfThePiecesChecksumsWillDo(t *testing.T) {
	stored := items(5, true, 100<<10)
	for name, damage := range map[string]func(f *coldFile, b []byte){
		"two blocks, different columns, first copies": func(f *coldFile, b []byte) {
			for i, e := range f.entries {
				spoil(b, e.pieces[0]+4)
				if i < 2 {
					spoil(b, e.place+uint32(i)*pieceSize)
				}
			}
		},
		"two blocks, different columns, second copies": func(f *coldFile, b []byte) {
			for i, e := range f.entries {
				spoil(b, e.pieces[1]+4)
				if i < 2 {
					spoil(b, e.place+uint32(i)*pieceSize)
				}
			}
		},
		"one block, both copies of another's": func(f *coldFile, b []byte) {
			spoil(b, f.entries[1].pieces[0])
			spoil(b, f.entries[1].pieces[1])
			spoil(b, f.entries[0].place)
		},
		"one block, both copies of its own": func(f *coldFile, b []byte) {
			spoil(b, f.entries[0].pieces[0])
			spoil(b, f.entries[0].pieces[1])
			spoil(b, f.entries[0].place)
		},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := disktest.New()
			b := coldFrom(t, fsys, stored, ColdOptions{Parity: 1})
			damage(coldEntries(t, fsys), b)
			must(t, fsys.WriteFile(coldPath, b))
			costsNothing(t, fsys, stored, 0)
		})
	}
}

func TestEachEntryIsTakenFromTheCopyThatHasIt(t *testing.T) {
	fsys := disktest.New()
	stored := items(20, true, 100<<10)
	coldFrom(t, fsys, stored, ColdOptions{Parity: 1})
	must(t, fsys.Corrupt(coldPath, int64(coldEntries(t, fsys).h.directory)+7, 0x5a))
	costsNothing(t, &sick{fsys, HeaderSize + 512, HeaderSize + 1024}, stored, 0)
}

// A record that verifies but is out of place, as an old block that comes back may leave it.
func TestStaleRecordsOfASourceArePassedOver(t *testing.T) {
	h := testHeader
	h.Capacity = 64 << 10
	head := h.encode()
	b := make([]byte, 8<<10)
	copy(b, head[:])
	k, off, want := h.key(), uint32(HeaderSize), []Record(nil)
	for i, seq := range []uint64{100, 105, 103, 106} {
		r := item(seq, 50)
		k.put(b, off, &r)
		off += uint32(r.Size())
		if i != 2 {
			want = append(want, r)
		}
	}
	fsys := diskWith(t, b)
	s, _, err := Open(fsys, testPath, OpenOptions{})
	must(t, err)
	must(t, WriteCold(fsys, coldPath, []*Segment{s}, ColdOptions{}, all, nil))
	mustHold(t, openCold(t, fsys), want)
}

// A block that is missing in both copies of the directory costs its records and no others.
func TestABlockWithoutAnEntryIsLostAlone(t *testing.T) {
	fsys := disktest.New()
	stored := items(1500, true, 0, 300, 3000, 1000)
	b := coldFrom(t, fsys, stored, ColdOptions{Parity: 1})
	f := coldEntries(t, fsys)
	for _, n := range []int{0, 3, 4} {
		spoil(b, uint32(HeaderSize+n*coldEntry+20))
		spoil(b, f.h.directory+uint32(n*coldEntry+20))
	}
	must(t, fsys.WriteFile(coldPath, b))
	s, damage, err := Open(fsys, coldPath, OpenOptions{})
	must(t, err)
	want := []Damage{
		{From: f.block(0).from, To: f.block(0).to},
		{From: f.block(3).from, To: f.block(4).to},
	}
	if fmt.Sprint(damage) != fmt.Sprint(want) {
		t.Fatalf("damage %v, want %v", damage, want)
	}
	kept := len(stored) - int(f.block(0).records+f.block(3).records+f.block(4).records)
	if n := len(walk(t, s)); n != kept {
		t.Fatalf("%d records are left, want %d", n, kept)
	}
	if off, err := s.Find(stored[0].Seq); err != nil || off != f.block(1).from {
		t.Fatalf("got the first that is left at %d, %v, want the block after the lost one", off, err)
	}
}

func TestRebuiltBlocksAreCounted(t *testing.T) {
	fsys := disktest.New()
	stored := items(10, true, 100)
	coldFrom(t, fsys, stored, ColdOptions{Parity: 1})
	f := coldEntries(t, fsys)
	must(t, fsys.Corrupt(coldPath, int64(f.block(0).place), 1))
	s := openCold(t, fsys)
	if walk(t, s); s.Rebuilt() != 1 {
		t.Fatalf("got %d blocks rebuilt, want 1", s.Rebuilt())
	}
}

func TestAFailureLeavesNoColdFile(t *testing.T) {
	base := disktest.New()
	s := newSegment(t, base, 1<<20)
	fill(t, s, 2000)
	write := func() error {
		o := ColdOptions{Codec: CodecZstd, Parity: 1}
		return WriteCold(base, coldPath, []*Segment{s}, o, all, nil)
	}
	broken := errors.New("broken")
	for n := 1; ; n++ {
		failed := false
		base.Fail(func(op disktest.Op, name string, call int) error {
			if name == coldPath && call == n && op != disktest.OpRemove {
				failed = true
				return broken
			}
			return nil
		})
		err := write()
		if !failed {
			must(t, err)
			must(t, base.Remove(coldPath))
			break
		}
		mustBe(t, err, broken)
		if names := base.Names("q"); len(names) != 1 {
			t.Fatalf("call %d failed: got the files %v, want the segment alone", n, names)
		}
	}
	base.Fail(nil)
	for room := int64(0); ; room += 4096 {
		base.SetCapacity(base.Used() + room)
		err := write()
		if err == nil {
			break
		}
		if names := base.Names("q"); !disk.IsFull(err) || len(names) != 1 {
			t.Fatalf("with %d bytes free: got %v and the files %v, want a full disk and the segment alone", room, err, names)
		}
	}
	if err := write(); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("over a file that is there: got %v, want fs.ErrExist", err)
	}
	mustHold(t, openCold(t, base), walk(t, s))
}

func TestPaceHearsOfAllThatIsReadAndWrittenAndCanEndIt(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 2<<20)
	fill(t, s, 8000)
	sum, calls, stop := 0, 0, errors.New("stop")
	pace := func(n int) error {
		sum, calls = sum+n, calls+1
		return nil
	}
	must(t, WriteCold(fsys, coldPath, []*Segment{s}, ColdOptions{Parity: 1}, all, pace))
	b, _ := fsys.ReadFile(coldPath)
	read := 2 * int(s.Tail()-HeaderSize)
	if sum < read+len(b)*9/10 || sum > read+len(b) || calls < 10 {
		t.Fatalf("got %d bytes in %d calls, want all of %d read and %d written, in 10 calls or more",
			sum, calls, read, len(b))
	}
	for n := 1; n < calls; n++ {
		must(t, fsys.Remove(coldPath))
		k := 0
		stopped := func(int) error {
			if k++; k == n {
				return stop
			}
			return nil
		}
		err := WriteCold(fsys, coldPath, []*Segment{s}, ColdOptions{Parity: 1}, all, stopped)
		if mustBe(t, err, stop); len(fsys.Names("q")) != 1 {
			t.Fatal("got a cold file after an error of pace, want none")
		}
		must(t, fsys.WriteFile(coldPath, nil))
	}
}

func TestDamagedRecordsOfASourceArePassedOver(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	stored := fill(t, s, 100)
	off, err := s.Find(stored[40].Seq)
	must(t, err)
	must(t, fsys.Corrupt(testPath, int64(off)+20, 3))
	must(t, WriteCold(fsys, coldPath, []*Segment{s}, ColdOptions{}, all, nil))
	mustHold(t, openCold(t, fsys), append(stored[:40:40], stored[41:]...))
}

// A payload at the end of a segment may be the header of a cold file, byte by byte.
func TestAPayloadIsNotTakenForAColdFile(t *testing.T) {
	fsys := disktest.New()
	b := coldFrom(t, fsys, items(3, true, 100), ColdOptions{Parity: 1})
	hot := disktest.New()
	h := newSegment(t, hot, 64<<10)
	appendItem(t, h, Record{Seq: 100, Kind: KindItem, Payload: b[len(b)-coldHeaderLen:]})
	must(t, h.Trim())
	must(t, h.Close())
	o, _, err := Open(hot, testPath, OpenOptions{})
	must(t, err)
	if o.Cold() || len(walk(t, o)) != 1 {
		t.Fatal("got a cold segment, want the segment it is")
	}
	content, _ := hot.ReadFile(testPath)
	clear(content[:HeaderSize])
	must(t, hot.WriteFile(testPath, content))
	if _, _, err := Open(hot, testPath, OpenOptions{}); err == nil {
		t.Fatal("got a segment after its header was lost, want an error")
	}
}

// Parity by the book: multiplication in GF(2^8), bit by bit.
func TestParityIsWhatTheFormatSays(t *testing.T) {
	multiply := func(a, b byte) (p byte) {
		for ; b > 0; b >>= 1 {
			if b&1 > 0 {
				p ^= a
			}
			carry := a&0x80 > 0
			if a <<= 1; carry {
				a ^= 0x1d
			}
		}
		return p
	}
	inverse := func(a byte) byte {
		for x := 1; ; x++ {
			if multiply(a, byte(x)) == 1 {
				return byte(x)
			}
		}
	}
	fsys := disktest.New()
	b := coldFrom(t, fsys, items(19, true, 66<<10, 70<<10), ColdOptions{Parity: 3})
	f := coldEntries(t, fsys)
	for g := range f.h.groups() {
		from, parity, to := f.h.group(g)
		for p := parity; p < to; p++ {
			want := make([]byte, f.entries[p].stored)
			for d := from; d < parity; d++ {
				e, factor := f.entries[d], inverse(byte(16+p-parity)^byte(d-from))
				for i, x := range b[e.place : e.place+e.stored] {
					want[i] ^= multiply(x, factor)
				}
			}
			if e := f.entries[p]; !bytes.Equal(want, b[e.place:e.place+e.stored]) {
				t.Fatalf("parity block %d of group %d: got other bytes than the sum of the data", p-parity, g)
			}
		}
	}
}

func TestReadersOfAColdSegmentDoNotDisturbEachOther(t *testing.T) {
	fsys := disktest.New()
	stored := items(1500, false, 0, 300, 3000, 1000)
	coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: 1})
	s := openCold(t, fsys)
	var readers sync.WaitGroup
	for k := range 4 {
		readers.Go(func() {
			for i := k * 100; i < len(stored); i++ {
				off, err := s.Find(stored[i].Seq)
				r, _, e := s.At(off)
				err = errors.Join(err, e, s.Prefetch(off))
				if err != nil || r.Seq != stored[i].Seq ||
					!bytes.Equal(r.Payload, stored[i].Payload) {
					t.Errorf("record %d: got %v, %v, want it", stored[i].Seq, r.Seq, err)
					return
				}
			}
		})
	}
	readers.Wait()
}

func TestAPrefetchedBlockIsReadWithoutTheDiskOrAllocation(t *testing.T) {
	fsys := disktest.New()
	stored := items(1500, false, 0, 300, 3000, 1000)
	coldFrom(t, fsys, stored, ColdOptions{Codec: CodecZstd, Parity: 1})
	s := openCold(t, fsys)
	_, _, err := s.At(HeaderSize)
	must(t, err)
	must(t, s.Prefetch(HeaderSize))
	fsys.Fail(func(op disktest.Op, name string, n int) error { return fmt.Errorf("%s of %s", op, name) })
	off, end := uint32(HeaderSize), s.BlockEnd(s.BlockEnd(HeaderSize))
	if n := testing.AllocsPerRun(1, func() {
		for off = HeaderSize; off < end; {
			if _, off, err = s.At(off); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 0 {
		t.Fatalf("got %v allocations for reading, want 0", n)
	}
	if _, _, err := s.At(off); err == nil {
		t.Fatal("got a third decoded block kept, want two")
	}
	reading := s.BlockEnd(HeaderSize)
	for ; s.BlockEnd(reading) < s.Tail(); reading = s.BlockEnd(reading) {
		_, _, err = s.At(reading)
		must(t, err)
		fsys.Fail(nil)
		must(t, s.Prefetch(reading)) // what failed is tried again
		fsys.Fail(func(op disktest.Op, name string, n int) error { return fmt.Errorf("%s of %s", op, name) })
		for _, off := range []uint32{reading, s.BlockEnd(reading)} { // both blocks are kept
			_, _, err = s.At(off)
			must(t, err)
		}
		_, _, err = s.At(reading)
		must(t, err)
	}
}

func FuzzOpenCold(f *testing.F) {
	for _, stored := range [][]Record{nil, items(5, true, 100), items(40, false, 300, 9000)} {
		for _, codec := range codecs {
			b := coldFrom(f, disktest.New(), stored, ColdOptions{Codec: codec, Parity: 1})
			f.Add(b, uint16(0), uint16(3), byte(0xff), false)
			f.Add(b, uint16(HeaderSize+28), uint16(4096), byte(1), true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, at, and uint16, mask byte, sign bool) {
		if len(b) > 1<<20 {
			return
		}
		for _, p := range []uint16{at, and} {
			if int(p) < len(b) {
				b[p] ^= mask
			}
		}
		if sign {
			signCold(b)
		}
		fsys := disktest.New()
		must(t, fsys.WriteFile(coldPath, b))
		s, _, err := Open(fsys, coldPath, OpenOptions{})
		if err == nil && s.Cold() {
			last := uint64(0)
			for i, r := range walk(t, s) {
				if i > 0 && r.Seq <= last && !sign {
					t.Fatalf("got record %d after %d, want rising numbers", r.Seq, last)
				}
				last = r.Seq
			}
			_, err := s.Judge()
			must(t, err)
		}
		_, _ = Scrub(fsys, coldPath, true, nil)
	})
}

// signCold makes the checksums of the header and the first directory right, whatever they say.
func signCold(b []byte) {
	if len(b) < HeaderSize {
		return
	}
	le.PutUint64(b[coldHeaderLen-8:], checksum.Of(b[:coldHeaderLen-8]))
	var h coldHeader
	if _, err := h.decode(b); err != nil {
		return
	}
	for i := int64(0); i < h.entries() && HeaderSize+(i+1)*coldEntry <= int64(len(b)); i++ {
		e := b[HeaderSize+i*coldEntry:]
		place, stored := int64(le.Uint32(e[20:])), int64(le.Uint32(e[24:]))
		if place+stored <= int64(len(b)) {
			start := checksum.Seed(h.Salt, uint32(place)/Align)
			le.PutUint64(e[8:], checksum.Update(start, b[place:place+stored]))
		}
		le.PutUint64(e, checksum.Update(checksum.Seed(h.Salt, uint32(i)), e[8:coldEntry]))
	}
}

const goldenCold = "testdata/sealed.cold"

func TestGoldenColdFileIsReadAsEver(t *testing.T) {
	_, sealed, stored := golden(t)
	if *update {
		fsys := diskWith(t, sealed)
		s, _, err := Open(fsys, testPath, OpenOptions{})
		must(t, err)
		o := ColdOptions{Codec: CodecZstd, Parity: 1}
		must(t, WriteCold(fsys, coldPath, []*Segment{s}, o, all, nil))
		b, err := fsys.ReadFile(coldPath)
		must(t, err)
		must(t, os.WriteFile(goldenCold, b, 0o644))
	}
	b, err := os.ReadFile(goldenCold)
	must(t, err)
	fsys := disktest.New()
	must(t, fsys.WriteFile(coldPath, b))
	s := openCold(t, fsys)
	mustHold(t, s, stored)
	h := testHeader
	h.Salt, h.Capacity = s.Header().Salt, 64<<10
	totals := goldenTotals
	if s.Header() != h || s.Totals() != totals {
		t.Errorf("got header %+v and totals %+v, want those written", s.Header(), s.Totals())
	}
	if r, err := Scrub(fsys, coldPath, false, nil); err != nil || len(r.Damaged) > 0 {
		t.Errorf("got scrub report %+v, %v, want no damage", r, err)
	}
}
