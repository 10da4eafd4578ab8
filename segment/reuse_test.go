package segment

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/darner/darner/segment/disk/disktest"
)

// used is a segment that was full once and is used again for n items.
func used(t testing.TB, fsys *disktest.FS, capacity int64, n int) (s *Segment, stored []Record) {
	t.Helper()
	s = newSegment(t, fsys, capacity)
	fill(t, s, 1<<20)
	must(t, s.Sync())
	return again(t, s, n)
}

// again makes a segment the next one.
func again(t testing.TB, s *Segment, n int) (*Segment, []Record) {
	t.Helper()
	h := testHeader
	h.First, h.Salt = s.Last()+1, 0
	must(t, s.Recycle(testPath))
	must(t, s.Start(h))
	return s, fill(t, s, n)
}

func TestASegmentIsUsedAgain(t *testing.T) {
	fsys := disktest.New()
	s, stored := used(t, fsys, 64<<10, 20)
	mustHold(t, s, stored)
	if s.Size() != 64<<10 || s.Room() < 1000 {
		t.Errorf("got a file of %d bytes with room for %d, want it to keep its blocks", s.Size(), s.Room())
	}
	for range 3 {
		fill(t, s, 1<<20)
		must(t, s.Seal())
		s, stored = again(t, s, 20)
	}
	mustHold(t, s, stored)
	must(t, s.Close())
	if v := fsys.Violations(); len(v) > 0 {
		t.Errorf("got violations %v, want none", v)
	}
}

// Wherever the new records end, what is left of the old ones is neither read nor called damage.
func TestWhatAUsedFileHeldBeforeIsStale(t *testing.T) {
	fsys := disktest.New()
	s, stored := used(t, fsys, 16<<10, 0)
	for n := 0; ; n++ {
		for _, write := range []bool{false, true} {
			data, err := fsys.ReadFile(testPath)
			must(t, err)
			o, damage := open(t, diskWith(t, data), write)
			mustHold(t, o, stored)
			if len(damage) > 0 {
				t.Fatalf("%d records: got damage %+v, want none", n, damage)
			}
			if v, err := o.Judge(); err != nil || len(v.Damage) > 0 {
				t.Fatalf("%d records: got verdict %+v, %v, want no damage", n, v, err)
			}
			if r := item(o.Last()+1, 30); write && int(o.Tail()) < 15<<10 {
				appendItem(t, o, r)
				mustHold(t, o, append(stored[:len(stored):len(stored)], r))
			}
			must(t, o.Close())
		}
		more := fill(t, s, 1)
		if len(more) == 0 {
			break
		}
		stored = append(stored, more...)
	}
}

// However a record is stored, after it is an end. So what a client once sent is not taken for a
// damaged record, even if it looks like one with the number that comes next.
func TestWhatAnOldPayloadLooksLikeIsNoDamage(t *testing.T) {
	for name, store := range map[string]func(s *Segment, seq uint64){
		"a short record":     func(s *Segment, seq uint64) { appendItem(t, s, item(seq, 30)) },
		"a long record":      func(s *Segment, seq uint64) { appendItem(t, s, item(seq, inlineMost+1)) },
		"room for a payload": func(s *Segment, _ uint64) { reserve(t, s, 1000) },
		"the record of a payload": func(s *Segment, seq uint64) {
			appendBody(t, s, reserve(t, s, 1000), item(seq, 1000))
		},
	} {
		tail, next := uint32(0), uint64(0)
		for range 2 { // first to find out where the records will end
			fsys := disktest.New()
			s := newSegment(t, fsys, 64<<10)
			old := item(testHeader.First, 30<<10)
			old.Due, old.Note = 0, nil
			if tail > 0 {
				forged := old.Payload[tail-HeaderSize-recordHead:]
				r := item(next, 30)
				key{first: testHeader.First + 1}.encode(forged[:r.Size()], 0, &r)
			}
			appendItem(t, s, old)
			s, _ = again(t, s, 0)
			store(s, testHeader.First+1)
			tail, next = s.Tail(), s.Last()+1
			data, err := fsys.ReadFile(testPath)
			must(t, err)
			must(t, s.Close())
			if _, damage := open(t, diskWith(t, data), true); len(damage) > 0 {
				t.Errorf("%s: got damage %+v, want none", name, damage)
			}
		}
	}
}

// A power cut may leave the page after the records as it was before the file was used again.
func TestAStalePageAfterTheRecordsIsNoDamage(t *testing.T) {
	fsys := disktest.New()
	s, _ := used(t, fsys, 64<<10, 0)
	before, err := fsys.ReadFile(testPath)
	must(t, err)
	stored := fill(t, s, 200)
	after, err := fsys.ReadFile(testPath)
	must(t, err)
	for page := 4096; page < len(after); page += 4096 {
		cut := append(bytes.Clone(after[:page]), before[page:]...)
		for _, write := range []bool{false, true} {
			o, damage := open(t, diskWith(t, cut), write)
			for _, d := range damage {
				if !d.Tail || int64(d.To-d.From) > recordSize(300, frontMost) {
					t.Errorf("cut at %d: got damage %+v, want at most a torn record", page, d)
				}
			}
			found := walk(t, o)
			for i, r := range found {
				if !same(r, stored[i]) {
					t.Fatalf("cut at %d: got %+v, want what was written", page, r)
				}
			}
			must(t, o.Close())
		}
	}
}

// A power cut may leave the header of one use and pages of later ones. The next use after that must
// not be one of these, or their records would verify in it.
func TestPagesOfALaterUseThanTheHeaderKnowsNeverVerify(t *testing.T) {
	fsys := disktest.New()
	s, _ := used(t, fsys, 16<<10, 1<<10)
	header, err := fsys.ReadFile(testPath)
	must(t, err)
	s, _ = again(t, s, 1<<10)
	later, err := fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Close())
	cut := append(bytes.Clone(header[:4096]), later[4096:8192]...)
	fsys = diskWith(t, append(cut, header[8192:]...))
	s, _, err = Open(fsys, testPath, OpenOptions{Write: true})
	must(t, err)
	s, stored := again(t, s, 3)
	data, err := fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Close())
	o, damage := open(t, diskWith(t, data), false)
	mustHold(t, o, stored)
	if len(damage) > 0 {
		t.Errorf("got damage %+v, want none", damage)
	}
}

// A payload may come before the segment takes records. Until then the file is what it was.
func TestAPayloadMayComeBeforeTheSegmentBegins(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	fill(t, s, 1<<20)
	first := s.Last() + 1
	if _, err := s.Reserve(100); err == nil {
		t.Fatal("got room in a full segment, want none")
	}
	must(t, s.Recycle(testPath))
	whole, broken := item(first, 5000), item(0, 300)
	b := reserve(t, s, 5000)
	must(t, s.Fill(b, 0, whole.Payload[:2000]))
	s.Release(reserve(t, s, 300))
	kept := reserve(t, s, 300)
	must(t, s.Fill(kept, 0, broken.Payload))
	data, err := fsys.ReadFile(testPath)
	must(t, err)
	o, _ := open(t, diskWith(t, data), false)
	if h := o.Header(); h.First != testHeader.First || o.Last() >= first {
		t.Errorf("got a segment from %d to %d before it began, want the former one", h.First, o.Last())
	}
	h := testHeader
	h.First, h.Salt = first, 0
	must(t, s.Start(h))
	must(t, s.Fill(b, 2000, whole.Payload[2000:]))
	appendBody(t, s, b, whole)
	short := item(first+1, 30)
	appendItem(t, s, short)
	stored := []Record{whole, short}
	mustHold(t, s, stored)
	if data, err = fsys.ReadFile(testPath); err != nil {
		t.Fatal(err)
	}
	must(t, s.Close())
	o, damage := open(t, diskWith(t, data), true)
	mustHold(t, o, stored)
	if len(damage) > 0 {
		t.Errorf("got damage %+v, want none", damage)
	}
}

// Both copies of the header are in one page.
func TestAUsedSegmentWithoutItsFirstPageIsNotReadAsWhatItWasBefore(t *testing.T) {
	for _, n := range []int{1, 3, 100} {
		fsys := disktest.New()
		_, stored := used(t, fsys, 64<<10, n)
		data, err := fsys.ReadFile(testPath)
		must(t, err)
		clear(data[:4096])
		o, damage, err := Open(diskWith(t, data), testPath, OpenOptions{First: stored[0].Seq})
		must(t, err)
		if len(damage) == 0 {
			t.Errorf("%d records: got no damage, want the first page", n)
		}
		for _, r := range walk(t, o) {
			if i := int(r.Seq - stored[0].Seq); i >= n || !same(r, stored[i]) {
				t.Errorf("%d records: got %+v, which was not written", n, r)
			}
		}
		must(t, o.Close())
	}
}

func TestAStaleFooterDoesNotSealASegment(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	fill(t, s, 1<<20)
	must(t, s.Seal())
	sealed, err := fsys.ReadFile(testPath)
	must(t, err)
	first := s.Last() + 1
	s, stored := again(t, s, 30)
	data, err := fsys.ReadFile(testPath)
	must(t, err)
	data = data[:len(sealed)] // a power cut left the old end of the file
	copy(data[len(data)-FooterSize-200:], sealed[len(data)-FooterSize-200:])
	o, _ := open(t, diskWith(t, data), true)
	mustHold(t, o, stored)
	must(t, o.Close())
	clear(data[:HeaderSize])
	o, _, err = Open(diskWith(t, data), testPath, OpenOptions{First: first})
	if err == nil {
		mustHold(t, o, stored)
		must(t, o.Close())
	}
	must(t, s.Close())
}

func TestAPowerCutWhileAFileIsUsedAgainLosesNothingThatWasSynced(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		fsys := disktest.New()
		s, stored := used(t, fsys, 32<<10, 1+rng.IntN(20))
		must(t, s.Sync())
		must(t, fsys.SyncDir("/"))
		safe := len(stored)
		stored = append(stored, fill(t, s, rng.IntN(60))...)
		o, _, err := Open(fsys.Crash(rng), testPath, OpenOptions{Write: true})
		must(t, err)
		found := walk(t, o)
		if len(found) < safe {
			t.Fatalf("seed %d: got %d records, want at least %d", seed, len(found), safe)
		}
		for _, r := range found {
			if !same(r, stored[r.Seq-stored[0].Seq]) {
				t.Fatalf("seed %d: got %+v, want what was written", seed, r)
			}
		}
		must(t, o.Close())
		must(t, s.Close())
	}
}

// A payload goes straight into pages that are in memory, and only there.
func TestPagesOfASegmentThatCooledAreWarmWhenTheyAreReadyAgain(t *testing.T) {
	s, _ := used(t, disktest.New(), 256<<10, 1)
	warm := func() bool {
		b, err := s.Reserve(1000)
		must(t, err)
		defer s.Release(b)
		return s.Warm(b)
	}
	if !warm() {
		t.Error("got no warm pages in a file that was just used, want some")
	}
	s.Cool()
	if warm() {
		t.Error("got warm pages, want none before they are ready")
	}
	s.Populate(1 << 20)
	if !warm() {
		t.Error("got no warm pages after they were made ready, want some")
	}
}

func TestAFileThatIsUsedAgainForgetsTheRoomThatItGaveUpBefore(t *testing.T) {
	s := newSegment(t, disktest.New(), 64<<10)
	gone := reserve(t, s, 3000)
	reserve(t, s, 1000)
	s.Release(gone) // not the last
	fill(t, s, 1<<20)
	s, _ = again(t, s, 0)
	r := item(s.Last()+1, 3000) // where the room was
	_, err := s.Append(&r)
	must(t, err)
	s.Release(reserve(t, s, 1000))
	mustHold(t, s, []Record{r})
	must(t, s.Close())
}
