package segment

// Long records, and the first short ones after a sync, are written to the file and not stored into
// the map. What is true of the others must be true of them.

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

func TestAProcessThatDiesInALongRecordLeavesNoneOfIt(t *testing.T) {
	// With the second length before it, the record's head is in two pages.
	for _, before := range []int{10, 4096 - 1024 - 40 - 24} {
		fsys := disktest.New()
		s := newSegment(t, fsys, 256<<10)
		appendItem(t, s, item(100, before))
		var left [][]byte // of the file, before each write
		fsys.Fail(func(op disktest.Op, name string, _ int) error {
			if op == disktest.OpWrite {
				left = append(left, bytes.Clone(s.mem[:s.Size()]))
			}
			return nil
		})
		long := item(101, 3*DirectWriteSize)
		appendItem(t, s, long)
		fsys.Fail(nil)
		if len(left) < 2 {
			t.Fatalf("got %d writes, want two or three for a long record", len(left))
		}
		for i, data := range left {
			died, _, err := Open(diskWith(t, data), testPath, OpenOptions{Write: true})
			must(t, err)
			if n := died.Totals().Items; n != 1 {
				t.Errorf("a process that died at write %d: got %d records, want those before", i, n)
			}
			must(t, died.Close())
		}
		got := left[len(left)-1][s.Tail()-recordHead-apartSize:][:8]
		if !bytes.Equal(got, make([]byte, 8)) {
			t.Errorf("got checksum %x before the last write, want zeros", got)
		}
	}
}

func TestALongRecordThatTheDiskRefusesLeavesZeros(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 256<<10)
	appendItem(t, s, item(100, 10))
	at := s.Tail()
	must(t, s.Extend(64<<10))
	writes := 0
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpWrite {
			if writes++; writes == 2 {
				return syscall.ENOSPC
			}
		}
		return nil
	})
	long := item(101, 3*DirectWriteSize)
	if _, err := s.Append(&long); !disk.IsFull(err) {
		t.Fatalf("got error %v, want a full disk", err)
	}
	fsys.Fail(nil)
	if !blank.Bytes(s.mem[at:s.Size()]) {
		t.Error("got bytes after the tail, want zeros")
	}
	appendItem(t, s, item(101, 20))
	if n := s.Totals().Items; n != 2 {
		t.Errorf("got %d records, want all", n)
	}
}

func TestALongRecordIsNotWrittenPastTheEndOfAFileCutShort(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 256<<10)
	appendItem(t, s, item(100, 10))
	must(t, s.Extend(64<<10))
	must(t, s.file.Truncate(2048))
	long := item(101, 3*DirectWriteSize)
	if _, err := s.Append(&long); !errors.Is(err, ErrFault) {
		t.Fatalf("got error %v, want ErrFault", err)
	}
}

// writes has n counted for each write to a file.
func writes(fsys *disktest.FS, n *int) {
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpWrite {
			*n++
		}
		return nil
	})
}

func TestTheFirstShortRecordAfterASyncIsWrittenAndTheOthersStored(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 256<<10)
	var want []Record
	n := 0
	writes(fsys, &n)
	for round := range 3 {
		for range 10 {
			r := item(100+uint64(len(want)), 20+len(want))
			appendItem(t, s, r)
			want = append(want, r)
		}
		if most := round * writesAfterSync; n > most || n < most-1 { // one may be in two pages
			t.Errorf("%d records were written by round %d, want %d", n, round, most)
		}
		must(t, s.Sync())
	}
	appendItem(t, s, item(200, shortRecord))
	if n > 2*writesAfterSync {
		t.Error("got a record written that is not short, want it stored")
	}
	must(t, s.Close())
	s, _, err := Open(fsys, testPath, OpenOptions{})
	must(t, err)
	off := uint32(HeaderSize)
	for _, w := range want {
		r, next, err := s.At(off)
		must(t, err)
		if !same(r, w) {
			t.Fatalf("read back %v, want %v", r, w)
		}
		off = next
	}
	must(t, s.Close())
}

// afterSync is a segment that has an item of a length, and room, and was just synced.
func afterSync(t *testing.T, fsys *disktest.FS, before int) *Segment {
	t.Helper()
	s := newSegment(t, fsys, 256<<10)
	appendItem(t, s, item(100, before))
	must(t, s.Extend(64<<10))
	must(t, s.Sync())
	return s
}

func TestAShortRecordInTwoPagesIsStored(t *testing.T) {
	fsys := disktest.New()
	s := afterSync(t, fsys, leastPage-HeaderSize-recordHead-24)
	n := 0
	writes(fsys, &n)
	appendItem(t, s, item(101, 100))
	if n > 0 {
		t.Error("got a record in two pages written, want it stored: a kill could leave half of it")
	}
	appendItem(t, s, item(102, 100))
	if n != 1 {
		t.Errorf("got %d writes for the next, which is in one page, want 1", n)
	}
}

func TestAShortRecordThatTheDiskRefusesLeavesZeros(t *testing.T) {
	fsys := disktest.New()
	s := afterSync(t, fsys, 10)
	at := s.Tail()
	fsys.Fail(func(op disktest.Op, _ string, _ int) error {
		if op == disktest.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	short := item(101, 30)
	if _, err := s.Append(&short); !disk.IsFull(err) {
		t.Fatalf("got error %v, want a full disk", err)
	}
	fsys.Fail(nil)
	if s.Tail() != at || !blank.Bytes(s.mem[at:s.Size()]) {
		t.Error("got bytes after the tail, want zeros")
	}
	appendItem(t, s, short)
}

func TestAShortRecordIsNotWrittenPastTheEndOfAFileCutShort(t *testing.T) {
	fsys := disktest.New()
	s := afterSync(t, fsys, 10)
	must(t, s.file.Truncate(2048))
	short := item(101, 30)
	if _, err := s.Append(&short); !errors.Is(err, ErrFault) {
		t.Fatalf("got error %v, want ErrFault", err)
	}
}

func TestAShortRecordDoesNotWaitForAFileThatGrows(t *testing.T) {
	fsys := disktest.New()
	s := afterSync(t, fsys, 10)
	n := 0
	writes(fsys, &n)
	s.extent.Lock()
	appendItem(t, s, item(101, 30))
	s.extent.Unlock()
	if n > 0 {
		t.Error("got a record written while the file grows, want it stored")
	}
	appendItem(t, s, item(102, 30))
	if n != 1 {
		t.Errorf("got %d writes for the next, which nothing hinders, want 1", n)
	}
}
