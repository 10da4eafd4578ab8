package segment

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

var update = flag.Bool("update", false, "write the golden files again")

// The golden files fix the format: what is on users' disks must stay readable,
// and be written alike on every machine.
const (
	goldenActive = "testdata/active.seg"
	goldenSealed = "testdata/sealed.seg"
)

// goldenTotals are those of the records in the golden files.
var goldenTotals = Totals{
	Items: 6, Bytes: 151 + 5000, Large: 1, Last: 1<<32 + 99, Oldest: -1, Newest: 1700000000005,
	EarliestExpiry: -2, LatestDue: 1700000070000,
}

func golden(t *testing.T) (active, sealed []byte, stored []Record) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	stored = []Record{
		{Seq: 100, Kind: KindItem, Enqueued: 1700000000001, Payload: []byte("hello")},
		{Seq: 101, Kind: KindItem, Enqueued: 1700000000002},
		{Seq: 102, Kind: KindItem, Flags: 1, ClientFlags: 0xfedcba98, Enqueued: 1700000000003, Expires: 1700000060000, Payload: bytes.Repeat([]byte{0, 255}, 60)},
		{Seq: 110, Kind: KindLarge, Enqueued: 1700000000004, Payload: []byte("where it lives")},
		{Seq: 111, Kind: KindItem, Consumer: 513, Enqueued: 1700000000005, Due: 1700000070000, Payload: bytes.Repeat([]byte("long "), 1000)},
		{Seq: 1<<32 + 99, Kind: KindItem, Enqueued: -1, Expires: -2, Payload: []byte("the last one")},
	}
	for _, r := range stored {
		appendItem(t, s, r)
	}
	must(t, s.Trim())
	active, err := fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Seal())
	sealed, err = fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Close())
	return active, sealed, stored
}

func TestGoldenFilesAreReadAndWrittenToTheByte(t *testing.T) {
	active, sealed, stored := golden(t)
	for path, made := range map[string][]byte{goldenActive: active, goldenSealed: sealed} {
		if *update {
			must(t, os.WriteFile(path, made, 0o644))
		}
		kept, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(made, kept) {
			t.Errorf("%s: got other bytes written today, want the same", path)
		}
		s, damage, err := Open(disk.OS{}, path, OpenOptions{})
		must(t, err)
		mustHold(t, s, stored)
		h := testHeader
		h.Capacity = 64 << 10
		if len(damage) > 0 || s.Sealed() != (path == goldenSealed) || s.Header() != h ||
			s.Totals() != goldenTotals {
			t.Errorf("%s: got damage %v, header %+v, totals %+v, want none and those it was written with",
				path, damage, s.Header(), s.Totals())
		}
		must(t, s.Close())
	}
}
