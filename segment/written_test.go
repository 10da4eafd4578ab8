package segment

// Long records are written to the file, not stored into the map: all that holds of the others holds of them.

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

func TestAProcessThatDiesInALongRecordLeavesNoneOfIt(t *testing.T) {
	for _, before := range []int{10, 4096 - 1024 - 40 - 20} { // the second has its head in two pages
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
		long := item(101, 3*Written)
		appendItem(t, s, long)
		fsys.Fail(nil)
		if len(left) < 2 {
			t.Fatalf("it was written at %d writes", len(left))
		}
		for i, data := range left {
			died, _, err := Open(diskWith(t, data), testPath, OpenOptions{Write: true})
			must(t, err)
			if n := died.Totals().Items; n != 1 {
				t.Errorf("a process that died at write %d left %d records", i, n)
			}
			must(t, died.Close())
		}
		if got := left[len(left)-1][s.Tail()-uint32(RecordSize(len(long.Payload))):][:4]; !bytes.Equal(got, make([]byte, 4)) {
			t.Errorf("the checksum is not the last to be written: %x", got)
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
	long := item(101, 3*Written)
	if _, err := s.Append(&long); !disk.IsFull(err) {
		t.Fatalf("the error is %v", err)
	}
	fsys.Fail(nil)
	if !zeros(s.mem[at:s.Size()]) {
		t.Error("something is left behind the tail")
	}
	appendItem(t, s, item(101, 20))
	if n := s.Totals().Items; n != 2 {
		t.Errorf("%d records", n)
	}
}

func TestALongRecordIsNotWrittenBehindTheEndOfAFileCutShort(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 256<<10)
	appendItem(t, s, item(100, 10))
	must(t, s.Extend(64<<10))
	must(t, s.file.Truncate(2048))
	long := item(101, 3*Written)
	if _, err := s.Append(&long); !errors.Is(err, ErrFault) {
		t.Fatalf("the error is %v", err)
	}
}
