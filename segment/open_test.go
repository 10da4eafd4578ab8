package segment

import (
	"bytes"
	"io/fs"
	"slices"
	"testing"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk/disktest"
)

func open(t testing.TB, fsys *disktest.FS, write bool) (*Segment, []Damage) {
	t.Helper()
	s, damage, err := Open(fsys, testPath, OpenOptions{Write: write})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s, damage
}

func TestActiveSegmentIsResumedWhereItEnded(t *testing.T) {
	active, _, stored := files(t, 256<<10, 50)
	fsys := diskWith(t, active)
	s, damage := open(t, fsys, true)
	if len(damage) > 0 || s.Sealed() || s.Last() != 149 || s.Totals().Items != 50 {
		t.Fatalf("got damage %v, sealed %v, totals %+v, want none and what was written", damage, s.Sealed(), s.Totals())
	}
	mustHold(t, s, stored)
	more := item(150, 99)
	appendItem(t, s, more)
	mustHold(t, s, append(stored, more))
	must(t, s.Sync())
	if v := fsys.Violations(); len(v) > 0 {
		t.Errorf("got violations %v, want none", v)
	}
}

func TestSealedSegmentIsOpenedWithoutReadingItsRecords(t *testing.T) {
	_, sealed, stored := files(t, 1<<20, 2000)
	index := bytes.Index(sealed, []byte(indexMagic))
	clear(sealed[HeaderSize:index]) // if they were read, they would be missed
	for _, write := range []bool{false, true} {
		s, damage := open(t, diskWith(t, sealed), write)
		if len(damage) > 0 || !s.Sealed() || s.Last() != stored[len(stored)-1].Seq ||
			s.Totals().Items != uint64(len(stored)) {
			t.Errorf("got damage %v, sealed %v, totals %+v, want none and what was written", damage, s.Sealed(), s.Totals())
		}
		h := s.Header()
		if h.ItemsBefore != 7 || h.First != 100 || h.Created != testHeader.Created {
			t.Errorf("got header %+v, want the one it was written with", h)
		}
	}
}

// An append that is killed leaves anything but the checksum, which is stored last.
func TestKilledAppendIsCutOffAsUnfinished(t *testing.T) {
	active, _, stored := files(t, 64<<10, 5)
	tail := active
	for _, r := range stored {
		tail = tail[r.Size():]
	}
	tail = tail[HeaderSize:]
	r := item(105, 100)
	(&Header{}).key().put(tail, 0, &r) // its checksum is of another segment
	clear(tail[:8])

	fsys := diskWith(t, active)
	if _, damage := open(t, fsys, false); len(damage) != 1 || damage[0].Bytes != nil {
		t.Fatalf("got damage %+v, want one range without a copy of its bytes", damage)
	}
	s, damage := open(t, fsys, true)
	if len(damage) != 1 || !damage[0].Tail || !damage[0].Unfinished || damage[0].From != s.Tail() {
		t.Fatalf("got damage %+v, want one unfinished tail after the last record", damage)
	}
	if d := damage[0]; !bytes.Equal(d.Bytes, tail[:len(d.Bytes)]) ||
		len(d.Bytes) != int(d.To-d.From) || d.To-d.From < recordHead+99 {
		t.Errorf("got a copy of %d bytes %x, want the damaged tail", len(d.Bytes), d.Bytes)
	}
	mustHold(t, s, stored)
	must(t, s.Close())
	now, _ := fsys.ReadFile(testPath)
	if !blank.Bytes(now[len(active)-len(tail):]) {
		t.Error("got other bytes after the tail, want zeros")
	}
}

func TestTornRecordIsCutOffAsOneThatWas(t *testing.T) {
	active, _, stored := files(t, 64<<10, 5)
	last := len(blank.Trim(active))
	active[last-1] ^= 0x41
	s, damage := open(t, diskWith(t, active), true)
	if len(damage) != 1 || !damage[0].Tail || damage[0].Unfinished || int(damage[0].To) != last {
		t.Fatalf("got damage %+v, want the torn record as a tail", damage)
	}
	mustHold(t, s, stored[:4])
	again := item(104, 7)
	appendItem(t, s, again)
	mustHold(t, s, append(stored[:4:4], again))
}

func TestDamageInTheMiddleIsNamedToTheByte(t *testing.T) {
	active, _, stored := files(t, 64<<10, 20)
	off := int64(HeaderSize)
	for _, r := range stored[:7] {
		off += r.Size()
	}
	to := off + stored[7].Size() + stored[8].Size()
	bad := bytes.Clone(active)
	bad[off+9] ^= 5
	bad[to-1-8] ^= 5
	s, damage := open(t, diskWith(t, bad), true)
	if len(damage) != 1 || int64(damage[0].From) != off || int64(damage[0].To) != to ||
		damage[0].Tail || damage[0].Meta {
		t.Fatalf("damage %+v, want %d to %d", damage, off, to)
	}
	if !bytes.Equal(damage[0].Bytes, bad[off:to]) {
		t.Errorf("got a copy of % x, want % x", damage[0].Bytes, bad[off:to])
	}
	b, err := s.Bytes(uint32(off), uint32(to))
	must(t, err)
	if !bytes.Equal(b, bad[off:to]) {
		t.Errorf("got bytes % x, want % x", b, bad[off:to])
	}
	mustHold(t, s, slices.Concat(stored[:7], stored[9:]))
}

func TestLostHeaderCopyIsWrittenAgain(t *testing.T) {
	active, _, stored := files(t, 64<<10, 5)
	for _, at := range []int{0, headerCopy} {
		bad := bytes.Clone(active)
		clear(bad[at : at+512])
		fsys := diskWith(t, bad)
		s, damage := open(t, fsys, true)
		if len(damage) != 1 || !damage[0].Meta || int(damage[0].From) != at {
			t.Fatalf("got damage %+v, want the lost copy of the header", damage)
		}
		mustHold(t, s, stored)
		must(t, s.Close())
		if now, _ := fsys.ReadFile(testPath); !bytes.Equal(now, active) {
			t.Error("got other bytes after opening, want the file unchanged")
		}
	}
}

func TestSealedSegmentSurvivesTheLossOfItsHeader(t *testing.T) {
	active, sealed, stored := files(t, 64<<10, 5)
	clear(sealed[:HeaderSize])
	s, damage := open(t, diskWith(t, sealed), true)
	if len(damage) != 1 || !damage[0].Meta || damage[0].To != HeaderSize || !s.Sealed() {
		t.Fatalf("got damage %+v, want the header alone", damage)
	}
	mustHold(t, s, stored)

	clear(active[:HeaderSize])
	_, _, err := Open(diskWith(t, active), testPath, OpenOptions{})
	mustBe(t, err, ErrHeaderLost)
}

func TestFilesThatAreNoSegmentsAreToldApart(t *testing.T) {
	active, sealed, _ := files(t, 64<<10, 5)
	header := active[:headerLen]
	newer := bytes.Clone(active)
	for _, at := range []int{0, headerCopy} {
		h := newer[at : at+headerLen]
		le.PutUint32(h[versionPlace:], version+1)
		le.PutUint64(h[headerLen-8:], checksum.Of(h[:headerLen-8]))
	}
	older := bytes.Clone(active)
	le.PutUint32(older[versionPlace:], 1)
	hit := bytes.Clone(active)
	hit[20] ^= 3
	hit[headerCopy+20] ^= 3
	half := make([]byte, 64<<10)
	copy(half[headerCopy:], header[:8])
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty file":          {nil, ErrBlank},
		"prepared file":       {make([]byte, 64<<10), ErrBlank},
		"died in Start":       {half, ErrBlank},
		"short zeros":         {make([]byte, 5), ErrBlank},
		"short text":          {[]byte("hello"), ErrNotSegment},
		"long text":           {bytes.Repeat([]byte("hello "), 9999), ErrNotSegment},
		"footer alone":        {sealed[len(sealed)-FooterSize:], ErrNotSegment},
		"newer version":       {newer, ErrVersion},
		"version 1":           {older, ErrVersion},
		"both headers hit":    {hit, ErrHeaderLost},
		"both headers zeroed": {append(make([]byte, HeaderSize), active[HeaderSize:]...), ErrHeaderLost},
	} {
		for _, write := range []bool{false, true} {
			fsys := diskWith(t, c.data)
			s, _, err := Open(fsys, testPath, OpenOptions{Write: write})
			if s != nil {
				t.Fatalf("%s: got a segment, want an error", name)
			}
			t.Run(name, func(t *testing.T) { mustBe(t, err, c.want) })
			if now, _ := fsys.ReadFile(testPath); !bytes.Equal(now, c.data) {
				t.Errorf("%s: got other bytes after opening, want the file unchanged", name)
			}
		}
	}
	_, _, err := Open(disktest.New(), testPath, OpenOptions{})
	mustBe(t, err, fs.ErrNotExist)
}

func TestHeaderCutShortIsMadeWhole(t *testing.T) {
	active, _, _ := files(t, 64<<10, 5)
	for _, size := range []int{headerLen, 600, HeaderSize, HeaderSize + 20} {
		fsys := diskWith(t, active[:size])
		s, _ := open(t, fsys, true)
		r := item(100, 10)
		appendItem(t, s, r)
		mustHold(t, s, []Record{r})
		must(t, s.Close())
		s, damage := open(t, fsys, false)
		mustHold(t, s, []Record{r})
		if len(damage) > 0 || len(fsys.Violations()) > 0 {
			t.Errorf("cut to %d: got damage %v and violations %v, want none", size, damage, fsys.Violations())
		}
	}
}
