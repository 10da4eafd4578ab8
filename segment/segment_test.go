package segment

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

func TestWhatIsAppendedReadsBack(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 1<<20)
	defer s.Close()
	stored := fill(t, s, 500)
	mustHold(t, s, stored)
	if h := s.Header(); h.First != 100 || h.Capacity != 1<<20 || h.Salt != testHeader.Salt ||
		h.BytesBefore != 777 {
		t.Errorf("got header %+v, want the one given", h)
	}
	var want Totals
	for i := range stored {
		want.add(&stored[i])
	}
	if got := s.Totals(); got != want || got.Items != 500 || got.Large != 50 || s.Last() != 599 {
		t.Errorf("totals are %+v, want %+v", got, want)
	}
}

func TestHeaderGetsARandomSaltAndKeepsTheTimeItIsGiven(t *testing.T) {
	fsys := disktest.New()
	salts := map[uint64]bool{}
	for _, name := range []string{"1", "2", "3", "4"} {
		s, err := Create(fsys, name, 4<<10)
		must(t, err)
		must(t, s.Start(Header{First: 1, Created: 1700000000000}))
		salts[s.Header().Salt] = true
		if got := s.Header().Created; got != 1700000000000 {
			t.Errorf("got creation time %d, want the one given", got)
		}
		must(t, s.Close())
	}
	if len(salts) != 4 || salts[0] {
		t.Errorf("got salts %v, want four, none of them 0", salts)
	}
}

func TestFullSegmentCanStillBeSealed(t *testing.T) {
	for _, capacity := range []int64{4 << 10, 64 << 10, 300 << 10, 1 << 20} {
		for _, size := range []int{0, 100, 1000} {
			s := newSegment(t, disktest.New(), capacity)
			r := item(100, size)
			must(t, s.Extend(capacity))
			var err error
			for ; err == nil; r.Seq++ {
				_, err = s.Append(&r)
			}
			mustBe(t, err, ErrFull)
			most := r.Size() + endSize + indexBound(capacity) + FooterSize
			if left := capacity - int64(s.Tail()); left > most {
				t.Errorf("capacity %d: full with %d bytes left, want at most %d", capacity, left, most)
			}
			must(t, s.Seal())
			if s.Size() > capacity {
				t.Errorf("got a sealed file of %d bytes, want at most %d, its capacity", s.Size(), capacity)
			}
			must(t, s.Close())
		}
	}
}

// maxPayload is the longest payload that a blank segment of that capacity takes.
func maxPayload(capacity int64) int {
	rest := min(capacity, MaxCapacity) - indexBound(capacity) - FooterSize - HeaderSize - endSize
	if most := int(rest-recordHead) &^ 7; most <= inlineMost {
		return most
	}
	return int(rest-recordHead-(recordHead+apartSize)) &^ 7
}

func TestMaxPayloadFitsAndOneMoreByteDoesNot(t *testing.T) {
	for _, capacity := range []int64{4 << 10, 64 << 10, 256 << 10} {
		s := newSegment(t, disktest.New(), capacity)
		must(t, s.Extend(capacity))
		r := Record{Seq: 100, Kind: KindItem, Payload: make([]byte, maxPayload(capacity)+1)}
		_, err := s.Append(&r)
		mustBe(t, err, ErrFull)
		r.Payload = r.Payload[1:]
		_, err = s.Append(&r)
		must(t, err)
		must(t, s.Close())
	}
}

func TestAppendNeverTouchesWhatIsNotAllocated(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 4<<20)
	if s.Size() != 64<<10 {
		t.Fatalf("got a first extent of %d bytes, want FirstExtent", s.Size())
	}
	var sizes []int64
	r := item(100, 1000)
	for ; r.Seq < 4000; r.Seq++ {
		_, err := s.Append(&r)
		if errors.Is(err, ErrFull) {
			break
		}
		if errors.Is(err, ErrUnallocated) {
			if room := s.Room(); room >= RecordSize(1000) {
				t.Fatalf("got ErrUnallocated with room for %d bytes, want less room than a record", room)
			}
			must(t, s.Extend(RecordSize(1000)))
			sizes = append(sizes, s.Size()>>10)
			_, err = s.Append(&r)
		}
		must(t, err)
	}
	want := []int64{128, 256, 512, 1024, 2048, 3072, 4096}
	if len(sizes) != len(want) {
		t.Fatalf("extents end at %v KiB, want %v", sizes, want)
	}
	for i := range want {
		if sizes[i] != want[i] {
			t.Fatalf("extents end at %v KiB, want %v", sizes, want)
		}
	}
	must(t, s.Sync())
	must(t, s.Close())
	if v := fsys.Violations(); len(v) > 0 {
		t.Errorf("got violations %v, want none", v)
	}
}

func TestExtendOnANearlyFullDiskTakesWhatIsNeeded(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 1<<20)
	defer s.Close()
	fsys.SetCapacity(72 << 10)
	must(t, s.Extend(68<<10))
	if s.Room() < 68<<10 {
		t.Errorf("got room for %d bytes, want what was asked for", s.Room())
	}
	err := s.Extend(100 << 10)
	if !disk.IsFull(err) {
		t.Fatalf("got error %v, want a full disk", err)
	}
	stored := fill(t, s, 200) // what is allocated stays usable
	mustHold(t, s, stored)
}

func TestTrimmedSegmentIsExtendedBeforeItTakesMore(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 1<<20)
	stored := fill(t, s, 3)
	must(t, s.Trim())
	if s.Size() != int64(s.Tail()) || s.Room() != 0 {
		t.Errorf("got a file of %d bytes, want it trimmed to its tail, %d", s.Size(), s.Tail())
	}
	for range 2 {
		r := item(s.Last()+1, 10)
		_, err := s.Append(&r)
		mustBe(t, err, ErrUnallocated)
		must(t, s.Extend(1))
		_, err = s.Append(&r)
		must(t, err)
		stored = append(stored, r)
		must(t, s.Trim())
		must(t, s.Close())
		var damage []Damage
		s, damage, err = Open(fsys, testPath, OpenOptions{Write: true})
		must(t, err)
		if len(damage) > 0 {
			t.Errorf("got damage %+v, want none", damage)
		}
	}
	mustHold(t, s, stored)
	must(t, s.Close())
	if v := fsys.Violations(); len(v) > 0 {
		t.Errorf("got violations %v, want none", v)
	}
}

func TestOnlyWhatCanBeReadBackIsStored(t *testing.T) {
	s := newSegment(t, disktest.New(), 64<<10)
	defer s.Close()
	refused := func(r Record) {
		t.Helper()
		_, err := s.Append(&r)
		mustBe(t, err, ErrRecord)
	}
	refused(item(99, 1))
	appendItem(t, s, item(100, 1))
	refused(item(100, 1))
	refused(Record{Seq: 101})
	refused(Record{Seq: 101, Kind: kindBody})
	refused(Record{Seq: 101, Kind: kindApart})
	refused(Record{Seq: 101, Kind: KindLarge, Payload: make([]byte, inlineMost+1)})
	appendItem(t, s, item(105, 1))
	refused(item(104, 1))
}

func TestBlankAndSealedAndReadOnlySegmentsTakeNoRecords(t *testing.T) {
	fsys := disktest.New()
	s, err := Create(fsys, testPathFlat, 64<<10)
	must(t, err)
	r := item(100, 1)
	_, err = s.Append(&r)
	mustBe(t, err, ErrReadOnly)
	must(t, s.Start(testHeader))
	mustBe(t, s.Start(testHeader), ErrReadOnly)
	must(t, s.Close())

	s, _, err = Open(fsys, testPathFlat, OpenOptions{})
	must(t, err)
	_, err = s.Append(&r)
	mustBe(t, err, ErrReadOnly)
	mustBe(t, s.Extend(1), ErrReadOnly)
	mustBe(t, s.Seal(), ErrReadOnly)
	mustBe(t, s.Trim(), ErrReadOnly)
	must(t, s.Close())
	must(t, s.Close())
}

const testPathFlat = "1.seg"

func TestCreateLeavesNothingWhenItFails(t *testing.T) {
	for _, op := range []disktest.Op{disktest.OpCreate, disktest.OpAllocate, disktest.OpMap} {
		fsys := disktest.New()
		fsys.Fail(func(o disktest.Op, _ string, _ int) error {
			if o == op {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		_, err := Create(fsys, testPathFlat, 64<<10)
		mustBe(t, err, io.ErrUnexpectedEOF)
		if names := fsys.Names("/"); len(names) > 0 {
			t.Errorf("%s failed: got the files %v, want none", op, names)
		}
	}
	for _, capacity := range []int64{0, -8, 4095, MaxCapacity + 8} {
		if _, err := Create(disktest.New(), testPathFlat, capacity); err == nil {
			t.Errorf("capacity %d: got a segment, want an error", capacity)
		}
	}
}

func TestReadersRunBesideTheAppender(t *testing.T) {
	s := newSegment(t, disktest.New(), 4<<20)
	defer s.Close()
	const items = 5000
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			off, seq := uint32(HeaderSize), uint64(100)
			for seq < 100+items {
				r, next, err := s.At(off)
				if err == io.EOF {
					continue
				}
				if err != nil || !same(r, item(seq, 50)) {
					t.Errorf("at %d: got %+v, %v, want a record", off, r, err)
					return
				}
				if seq%500 == 0 {
					if at, err := s.Find(seq); err != nil || at != off {
						t.Errorf("number %d: found at %d, %v, want at %d", seq, at, err, off)
						return
					}
				}
				off, seq = next, seq+1
			}
		})
	}
	wg.Go(func() {
		for s.Size() < 1<<20 {
			if err := s.Extend(s.Room() + 1); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for seq := uint64(100); seq < 100+items; seq++ {
		appendItem(t, s, item(seq, 50))
	}
	wg.Wait()
}

func TestAppendAndReadDoNotAllocate(t *testing.T) {
	s := newSegment(t, disktest.New(), 1<<20)
	defer s.Close()
	must(t, s.Extend(1<<20))
	r := item(100, 64)
	var off uint32
	if n := testing.AllocsPerRun(100, func() {
		off, _ = s.Append(&r)
		r.Seq++
	}); n != 0 {
		t.Errorf("got %v allocations for Append, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = s.At(off) }); n != 0 {
		t.Errorf("got %v allocations for At, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Resync(HeaderSize + Align) }); n != 0 {
		t.Errorf("got %v allocations for Resync, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Find(150) }); n != 0 {
		t.Errorf("got %v allocations for Find, want 0", n)
	}
}
