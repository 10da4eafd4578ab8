package segment

import (
	"bytes"
	"testing"

	"github.com/darner/darner/segment/blank"
)

func TestScanCoversEveryByteOnce(t *testing.T) {
	_, sealed, stored := victims(t)
	clear(sealed[2048:2560])
	at, records := uint32(HeaderSize), 0
	for span, r := range scan(sealed, testHeader, new([]flip)) {
		if span.From != at || span.To <= span.From {
			t.Fatalf("got span %+v after %d, want one that starts there", span, at)
		}
		if r != nil && r.Kind != kindBody {
			records++
		}
		at = span.To
	}
	if int(at) != len(sealed) || records == 0 || records >= len(stored) {
		t.Errorf("got %d records up to %d of %d, want all spans up to the end", records, at, len(sealed))
	}
	for range scan(sealed, testHeader, new([]flip)) {
		break // an early end is fine
	}
}

func TestZerosAreNoDamage(t *testing.T) {
	for _, n := range []int{
		0, HeaderSize - 1, HeaderSize, HeaderSize + 1, HeaderSize + 63, 1 << 20,
	} {
		v := judge(make([]byte, n), testHeader)
		if len(v.Damage) > 0 || v.Tail != HeaderSize || v.Totals.Last != 99 {
			t.Errorf("%d zeros: got verdict %+v, want no damage", n, v)
		}
	}
}

func TestWipedBytesAreZero(t *testing.T) {
	for n := range 300 {
		for at := range n {
			b := make([]byte, n)
			b[at] = 1
			if wipe(b); !blank.Bytes(b) {
				t.Fatalf("byte %d of %d is not wiped", at, n)
			}
		}
	}
}

// A record out of order verifies, but at no time could it have been written.
func TestRecordThatDoesNotRiseIsDamage(t *testing.T) {
	active, _, stored := files(t, 64<<10, 3)
	tail := int(judge(active, testHeader).Tail)
	stale := item(101, 8)
	k := testHeader.key()
	k.put(active, uint32(tail), &stale)
	v := judge(active, testHeader)
	if int(v.Tail) != tail || v.Totals.Items != uint64(len(stored)) ||
		len(v.Damage) != 1 || !v.Damage[0].Tail {
		t.Errorf("got verdict %+v, want the stale record as a damaged tail", v)
	}
}

// FuzzScan opens files: arbitrary bytes, and valid segments with edits. Each
// edit is 4 bytes: where (2), how long, what to add to each byte. No file may
// cause a panic, and of a valid segment only what was written may come back.
func FuzzScan(f *testing.F) {
	active, sealed, stored := victims(f)
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte{4, 0, 8, 1})
	f.Add(byte(2), []byte{0, 0, 255, 3, 2, 0, 255, 9})
	f.Add(byte(1), []byte{0, 150})
	f.Add(byte(1), []byte{1, 4})
	f.Add(byte(3), sealed)
	f.Add(byte(3), active)
	f.Fuzz(func(t *testing.T, mode byte, edits []byte) {
		var file []byte
		switch mode % 4 {
		case 0, 1:
			file = bytes.Clone([][]byte{active, sealed}[mode%4])
			for ; len(edits) >= 4; edits = edits[4:] {
				at := int(edits[0])<<8 | int(edits[1])
				for i := at; i < min(at+int(edits[2]), len(file)); i++ {
					file[i] += edits[3]
				}
			}
			if len(edits) >= 2 {
				file = file[:min(len(file), int(edits[0])<<8|int(edits[1]))]
			}
		case 2: // after a sound header
			file = append(bytes.Clone(active[:HeaderSize]), edits...)
		case 3:
			file = edits
		}
		for _, write := range []bool{false, true} {
			s, _, err := Open(diskWith(t, file), testPath, OpenOptions{Write: write})
			if err != nil {
				continue
			}
			next := 0
			for _, r := range walk(t, s) {
				for next < len(stored) && stored[next].Seq < r.Seq {
					next++
				}
				if mode%4 < 2 && (next == len(stored) || !same(r, stored[next])) {
					t.Fatalf("got record %+v, which was never written", r)
				}
				if _, err := s.Find(r.Seq); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Judge(); err != nil {
				t.Fatal(err)
			}
			must(t, s.Close())
		}
	})
}

func TestResyncInSlicesFindsWhatResyncFinds(t *testing.T) {
	const size = 64 << 10
	b := make([]byte, size)
	lookAlike := item(101, 4000) // its checksum is of another place
	k := testHeader.key()
	for at := uint32(HeaderSize); at+5000 < size; at += 5000 &^ 7 {
		k.put(b, at, &lookAlike)
		b[at] ^= 1
	}
	last := item(102, 10)
	k.put(b, size-1000, &last)
	var r Record
	want, _, ok := k.resync(b, HeaderSize, &r)
	if !ok || want != size-1000 {
		t.Fatalf("resync found %d, %v", want, ok)
	}
	slices := 0
	for at, found := uint32(HeaderSize), false; !found; slices++ {
		work := 1000
		if at, _, found = k.resyncSome(b, at, &work, &r); found && at != want {
			t.Fatalf("found at %d, want %d", at, want)
		}
		if work < -8-recordHead-4000 {
			t.Fatalf("got %d more work in a slice than about what was allowed", -work)
		}
		if at >= size {
			t.Fatalf("got no record up to the end at %d, want one", size)
		}
	}
	if slices < 30 {
		t.Errorf("got %d slices, want at least 30", slices)
	}
	work := 1000
	if at, _, found := k.resyncSome(make([]byte, 100), HeaderSize, &work, &r); found || at != 100 {
		t.Errorf("in zeros: got %d, %v, want nothing", at, found)
	}
}
