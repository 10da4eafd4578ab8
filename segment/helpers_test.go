package segment

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

const testPath = "q/1.seg"

var testHeader = Header{
	Salt: 0x5eed5a17c0ffee11, First: 100, Created: 1700000000000, ItemsBefore: 7, BytesBefore: 777,
	Log: 0x1d0f7e10c5a11ed1,
}

func diskWith(t testing.TB, data []byte) *disktest.FS {
	t.Helper()
	fsys := disktest.New()
	if err := fsys.WriteFile(testPath, data); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func newSegment(t testing.TB, fsys disk.FS, capacity int64) *Segment {
	t.Helper()
	must(t, fsys.Mkdir("q"))
	s, err := Create(fsys, testPath, capacity)
	must(t, err)
	must(t, s.Start(testHeader))
	must(t, fsys.SyncDir("q"))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

// item is a record whose every field follows from its number.
func item(seq uint64, size int) Record {
	r := Record{
		Seq: seq, Kind: KindItem, Flags: uint8(seq) &^ ownFlags, ClientFlags: uint32(seq * 3),
		Enqueued: 1700000000000 + int64(seq), Expires: int64(seq % 2 * 99),
	}
	if seq%10 == 9 && size <= inlineMost {
		r.Kind = KindLarge
	}
	if seq%4 == 3 {
		r.Due, r.Consumer = 1700000100000-int64(seq), uint16(seq)
	}
	if seq%5 == 0 {
		r.Note = bytes.Repeat([]byte{byte(seq)}, []int{1, 40, MaxNote, 7, 100}[seq/5%5])
	}
	for i := range size {
		r.Payload = append(r.Payload, byte(seq)^byte(i*i))
	}
	return r
}

func appendItem(t testing.TB, s *Segment, r Record) uint32 {
	t.Helper()
	for {
		off, err := s.Append(&r)
		if errors.Is(err, ErrUnallocated) {
			must(t, s.Extend(r.Size()))
			continue
		}
		must(t, err)
		return off
	}
}

// fill appends items of assorted sizes until n are in or the segment is full.
func fill(t testing.TB, s *Segment, n int) (stored []Record) {
	t.Helper()
	for i := range n {
		r := item(s.Last()+1, i*37%301)
		off, err := s.Append(&r)
		if errors.Is(err, ErrUnallocated) {
			must(t, s.Extend(r.Size()))
			off, err = s.Append(&r)
		}
		if errors.Is(err, ErrFull) {
			break
		}
		must(t, err)
		if next := int64(s.Tail()); next != int64(off)+r.Size() {
			t.Fatalf("got tail %d after a record at %d, want the record's end", next, off)
		}
		stored = append(stored, r)
	}
	return stored
}

// walk reads all that can be read, with copies of the payloads.
func walk(t testing.TB, s *Segment) (found []Record) {
	t.Helper()
	for off := uint32(HeaderSize); ; {
		r, next, err := s.At(off)
		switch {
		case err == io.EOF:
			return found
		case errors.Is(err, ErrDamaged):
			if off, err = s.Resync(off + Align); err == io.EOF {
				return found
			}
			must(t, err)
			continue
		}
		must(t, err)
		r.Payload = bytes.Clone(r.Payload)
		found = append(found, r)
		off = next
	}
}

func same(a, b Record) bool {
	return a.Seq == b.Seq && a.Kind == b.Kind &&
		a.Flags == b.Flags && a.ClientFlags == b.ClientFlags &&
		a.Enqueued == b.Enqueued && a.Expires == b.Expires && a.Due == b.Due &&
		a.Consumer == b.Consumer && bytes.Equal(a.Note, b.Note) && bytes.Equal(a.Payload, b.Payload)
}

func mustHold(t testing.TB, s *Segment, want []Record) {
	t.Helper()
	got := walk(t, s)
	if len(got) != len(want) {
		t.Fatalf("%d records are readable, want %d", len(got), len(want))
	}
	for i := range got {
		if !same(got[i], want[i]) {
			t.Fatalf("record %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// files returns the bytes of an active and of a sealed segment that hold the
// same records.
func files(t testing.TB, capacity int64, n int) (active, sealed []byte, stored []Record) {
	t.Helper()
	fsys := disktest.New()
	s := newSegment(t, fsys, capacity)
	stored = fill(t, s, n)
	active, err := fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Seal())
	sealed, err = fsys.ReadFile(testPath)
	must(t, err)
	must(t, s.Close())
	return active, sealed, stored
}

// put stores a record at off of b, in a body first if its payload is long, and returns where the
// record itself is.
func (k key) put(b []byte, off uint32, r *Record) (at uint32) {
	c := *r
	c.apart = 0
	if len(r.Payload) <= inlineMost {
		k.encode(b[off:int64(off)+r.Size()], off, &c)
		return off
	}
	c.apart = off + recordHead
	copy(b[c.apart:], r.Payload)
	c.sum = checksum.Update(seedAt(k.salt, c.apart), r.Payload)
	k.encodeBody(b[off:], off, len(r.Payload))
	at = off + uint32(align(recordHead+int64(len(r.Payload))))
	k.encodeApart(b[at:], at, &c)
	return at
}
