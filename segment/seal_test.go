package segment

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

func TestSealTrimsAndKeepsReadersGoing(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 1<<20)
	defer s.Close()
	stored := fill(t, s, 1000)
	totals := s.Totals()
	must(t, s.Seal())
	if !s.Sealed() || s.Totals() != totals {
		t.Errorf("got sealed %v, totals %+v, want true and those before", s.Sealed(), s.Totals())
	}
	mustHold(t, s, stored)
	data, _ := fsys.ReadFile(testPath)
	if int64(len(data)) != s.Size() {
		t.Errorf("got a file of %d bytes, want %d, as Size says", len(data), s.Size())
	}
	f, _, ok := readFooter(data[len(data)-FooterSize:], int64(len(data)), s.Header().Salt)
	f.Header.DueBefore, f.Header.Expiring = 0, false // which only the header knows
	if !ok || f.Totals != totals || f.Header != s.Header() || f.End != s.Tail() {
		t.Errorf("got footer %v, %+v, want that of the segment", ok, f)
	}
	r := item(s.Last()+1, 1)
	_, err := s.Append(&r)
	mustBe(t, err, ErrReadOnly)
}

func TestEmptySegmentCanBeSealed(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	must(t, s.Seal())
	must(t, s.Close())
	s, damage := open(t, fsys, false)
	if len(damage) > 0 || !s.Sealed() || s.Last() != 99 || s.Totals().Items != 0 {
		t.Errorf("got damage %v, totals %+v, want none and those before", damage, s.Totals())
	}
	_, err := s.Find(0)
	mustBe(t, err, io.EOF)
}

// Sequence numbers with gaps, as compaction leaves them.
func TestFindGivesTheFirstRecordAtOrAboveANumber(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 1<<20)
	at := map[uint64]uint32{}
	const last = 898
	for seq := uint64(100); seq <= last; seq += 3 {
		at[seq] = appendItem(t, s, item(seq, 1000+int(seq%400)))
	}
	check := func(t *testing.T, s *Segment) {
		for seq := uint64(0); seq < last+9; seq++ {
			want := max(100, (seq+1)/3*3+1)
			off, err := s.Find(seq)
			if want > last {
				mustBe(t, err, io.EOF)
			} else if err != nil || off != at[want] {
				t.Fatalf("%d is found at %d, %v; %d is at %d", seq, off, err, want, at[want])
			}
		}
	}
	t.Run("active", func(t *testing.T) { check(t, s) })
	must(t, s.Sync())
	t.Run("scanned", func(t *testing.T) { s, _ := open(t, fsys, false); check(t, s) })
	must(t, s.Seal())
	t.Run("sealed", func(t *testing.T) { check(t, s) })
	must(t, s.Close())
	s, _ = open(t, fsys, false)
	t.Run("opened", func(t *testing.T) { check(t, s) })
	if n := s.index.Load().len(); n < 10 {
		t.Errorf("got %d entries in the index, want more", n)
	}
	must(t, s.Close())
	must(t, fsys.Corrupt(testPath, int64(s.footerPlace())-20, 3))
	s, damage := open(t, fsys, false)
	if len(damage) != 1 || !damage[0].Meta || !s.Sealed() {
		t.Errorf("got damage %+v, want the index alone", damage)
	}
	t.Run("no index", func(t *testing.T) { check(t, s) })
}

func (s *Segment) footerPlace() int64 { return s.Size() - FooterSize }

func TestSealOnAFullDiskCanBeTriedAgain(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 256<<10)
	defer s.Close()
	stored := fill(t, s, 100)
	for s.Tail()%4096 < 4096-FooterSize { // until index and footer need another block
		stored = append(stored, item(s.Last()+1, 0))
		appendItem(t, s, stored[len(stored)-1])
	}
	must(t, s.Trim())
	fsys.SetCapacity(s.Size())
	if err := s.Seal(); !disk.IsFull(err) {
		t.Fatalf("got error %v, want a full disk", err)
	}
	mustHold(t, s, stored)
	fsys.SetCapacity(-1)
	must(t, s.Seal())
	mustHold(t, s, stored)
}

// Whichever call of a seal fails, the segment stays usable and nothing is lost.
func TestSealThatFailsLeavesTheSegmentUsable(t *testing.T) {
	boom := errors.New("boom")
	for n := 1; ; n++ {
		fsys := disktest.New()
		s := newSegment(t, fsys, 256<<10)
		stored := fill(t, s, 100)
		var op disktest.Op
		fsys.Fail(func(o disktest.Op, _ string, i int) error {
			if i == n {
				op = o
				return boom
			}
			return nil
		})
		err := s.Seal()
		fsys.Fail(nil)
		if err == nil {
			if n < 4 {
				t.Fatalf("got %d calls for a seal, want more", n-1)
			}
			must(t, s.Close())
			return
		}
		t.Run(fmt.Sprint(n, op), func(t *testing.T) {
			mustBe(t, err, boom)
			if s.Sealed() {
				t.Error("got a sealed segment after a call that failed, want one that is not")
			}
			more := item(s.Last()+1, 10)
			appendItem(t, s, more)
			stored = append(stored, more)
			mustHold(t, s, stored)
			must(t, s.Close())
			s, damage := open(t, fsys, true)
			mustHold(t, s, stored)
			if len(damage) > 0 || s.Sealed() {
				t.Errorf("got damage %+v, sealed %v, want an unsealed segment without lost records", damage, s.Sealed())
			}
			must(t, s.Seal())
			if v := fsys.Violations(); len(v) > 0 {
				t.Errorf("got violations %v, want none", v)
			}
		})
	}
}

// A seal that the death of the process interrupts leaves a file that is
// resumed, with no record in doubt.
func TestInterruptedSealIsResumed(t *testing.T) {
	for n := 1; n <= 4; n++ {
		fsys := disktest.New()
		s := newSegment(t, fsys, 256<<10)
		stored := fill(t, s, 100)
		var left *disktest.FS
		fsys.Fail(func(_ disktest.Op, _ string, i int) error {
			if i == n {
				left = fsys.Clone()
			}
			return nil
		})
		must(t, s.Seal())
		must(t, s.Close())
		s, damage := open(t, left, true)
		mustHold(t, s, stored)
		for _, d := range damage {
			if !d.Meta || !d.Tail {
				t.Errorf("before call %d: got damage %+v, want no lost records", n, d)
			}
		}
		if !s.Sealed() {
			must(t, s.Seal())
		}
	}
}

// Otherwise the log would give the number of a damaged record to another item. Damage of a head is
// found when it is sealed, that of a payload when it is read.
func TestSealKeepsTheLastNumberOfADamagedRecord(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	stored := fill(t, s, 10)
	must(t, fsys.Corrupt(testPath, int64(s.Tail())-Align, 3))
	must(t, s.Seal())
	must(t, s.Close())
	s, _ = open(t, fsys, false)
	if got := s.Totals(); got.Last != 109 {
		t.Errorf("got totals %+v, want the last number", got)
	}
	mustHold(t, s, stored[:9])
}
