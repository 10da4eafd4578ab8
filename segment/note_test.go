package segment

// Notes: what a record carries besides its payload.

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
)

const (
	goldenNoted     = "testdata/noted.seg"
	goldenNotedCold = "testdata/noted.cold"
)

// notedRecords are records with notes, due times, and both, in all forms in which they are stored.
func notedRecords() []Record {
	note := func(n int) []byte { return bytes.Repeat([]byte("note-"), n/5+1)[:n] }
	at := int64(1700000000000)
	return []Record{
		{Seq: 100, Kind: KindItem, Enqueued: at, Note: note(1), Payload: []byte("hello")},
		{Seq: 101, Kind: KindItem, Enqueued: at, Payload: []byte("without")},
		{Seq: 102, Kind: KindItem, Flags: 1, Enqueued: at, Expires: at + 9, Due: at + 5, Note: note(30)},
		{Seq: 103, Kind: KindLarge, Enqueued: at, Due: at + 7000, Note: note(MaxNote), Payload: note(16)},
		{Seq: 110, Kind: KindItem, Enqueued: at, Note: note(71), Payload: note(inlineMost)},
		{Seq: 111, Kind: KindItem, Enqueued: at, Note: note(70), Payload: note(inlineMost + 1)},
		{Seq: 112, Kind: KindItem, Enqueued: at, Due: at + 6, Note: note(MaxNote), Payload: note(9000)},
		{Seq: 113, Kind: KindItem, Enqueued: at, Due: at + 4, Payload: []byte("due")},
	}
}

func TestANoteIsKeptInEveryFormAndCountsNowhere(t *testing.T) {
	fsys := disktest.New()
	s := newSegment(t, fsys, 64<<10)
	stored, want := notedRecords(), Totals{}
	for _, r := range stored {
		at := s.Tail()
		appendItem(t, s, r)
		if got := int64(s.Tail() - at); got != r.Size() {
			t.Errorf("record %d takes %d bytes, want %d as its Size says", r.Seq, got, r.Size())
		}
		want.add(&r)
	}
	if want.LatestDue != stored[3].Due || want.Bytes != 5+7+16+4096+4097+9000+3 {
		t.Errorf("got totals %+v, want the latest due time, and no note in the bytes", want)
	}
	mustHold(t, s, stored)
	must(t, s.Seal())
	for path, made := range map[string]string{testPath: goldenNoted, coldPath: goldenNotedCold} {
		if path == coldPath {
			must(t, WriteCold(fsys, path, []*Segment{s}, DefaultCold(), all, nil))
		}
		b, err := fsys.ReadFile(path)
		must(t, err)
		if *update {
			must(t, os.WriteFile(made, b, 0o644))
		}
		kept, err := os.ReadFile(made)
		must(t, err)
		if path == testPath && !bytes.Equal(b, kept) {
			t.Errorf("%s: got other bytes written today, want the same", made)
		}
		for name, fs := range map[string]disk.FS{path: fsys, made: disk.OS{}} {
			o, damage, err := Open(fs, name, OpenOptions{})
			must(t, err)
			mustHold(t, o, stored)
			v, err := o.Judge()
			must(t, err)
			if o.Totals() != want || v.Totals != want || len(damage)+len(v.Damage) > 0 {
				t.Errorf("%s: got totals %+v, judged %+v, damage %v, want %+v and none",
					name, o.Totals(), v, damage, want)
			}
			must(t, o.Close())
		}
	}
}

// A record says where its parts are: what is set aside of it is all of it.
func TestTheExtentOfARecordWithANoteIsWhatItTakes(t *testing.T) {
	s := newSegment(t, disktest.New(), 64<<10)
	for _, r := range notedRecords() {
		from := s.Tail()
		off := appendItem(t, s, r)
		got, next, err := s.At(off)
		must(t, err)
		if a, b := got.Extent(); a != from || b != s.Tail() || next != b {
			t.Errorf("record %d: got %d to %d, next %d, want %d to %d", r.Seq, a, b, next, from, s.Tail())
		}
		pad := s.mem[next-got.Padding() : next]
		if !bytes.Equal(pad, make([]byte, len(pad))) || got.Padding() >= Align {
			t.Errorf("record %d: got padding %x, want fewer than 8 zeros", r.Seq, pad)
		}
		b, err := s.Payload(off, int64(len(r.Payload)))
		if must(t, err); !bytes.Equal(b, r.Payload) {
			t.Errorf("record %d: got another payload, want what was appended", r.Seq)
		}
	}
}

// Also where the file held something else before: its bytes are not taken for padding.
func TestARecordWithANoteIsPaddedWithZerosInAFileThatIsUsedAgain(t *testing.T) {
	s, _ := used(t, disktest.New(), 64<<10, 0)
	for i, r := range notedRecords() {
		r.Seq = s.Last() + uint64(i) + 1
		got, next, err := s.At(appendItem(t, s, r))
		must(t, err)
		if pad := s.mem[next-got.Padding() : next]; !bytes.Equal(pad, make([]byte, len(pad))) {
			t.Errorf("record %d: got padding %x, want zeros", r.Seq, pad)
		}
	}
}

func TestANoteThatIsTooLongIsRefused(t *testing.T) {
	s := newSegment(t, disktest.New(), 64<<10)
	r := Record{Seq: 100, Kind: KindItem, Note: make([]byte, MaxNote+1)}
	_, err := s.Append(&r)
	mustBe(t, err, ErrRecord)
	b := reserve(t, s, 10)
	_, err = s.AppendBody(b, s.SumStart(b), &r)
	mustBe(t, err, ErrRecord)
	if s.Totals().Items != 0 {
		t.Errorf("got %d items, want none", s.Totals().Items)
	}
}

// What was reserved is enough for the payload's record, whatever that carries.
func TestAPayloadThatHasRoomHasSomeForItsNote(t *testing.T) {
	const size = 3000
	s := newSegment(t, disktest.New(), 16<<10)
	must(t, s.Extend(16<<10))
	r := Record{Seq: 100, Kind: KindItem}
	for s.Fits(r.Size() + ReserveSize(size)) {
		_, err := s.Append(&r)
		must(t, err)
		r.Seq++
	}
	b, err := s.Reserve(size)
	must(t, err)
	last := item(r.Seq, size)
	last.Due, last.Note = 5, make([]byte, MaxNote)
	appendBody(t, s, b, last)
	got, _, err := s.At(s.Tail() - uint32(recordSize(apartSize, last.front())))
	if must(t, err); !same(got, last) {
		t.Errorf("got %+v, want what was appended", got)
	}
}

// Every bit of a record counts: of its head, its due time, its note and its payload.
func TestAnyFlippedBitOfARecordWithANoteIsMended(t *testing.T) {
	for _, r := range notedRecords() {
		fsys := disktest.New()
		s := newSegment(t, fsys, 32<<10)
		r.Seq = 100
		appendItem(t, s, r)
		file, err := fsys.ReadFile(testPath)
		must(t, err)
		from, to := uint32(HeaderSize), s.Tail()
		must(t, s.Close())
		if len(r.Payload) > inlineMost { // of the payload itself others know
			from = to - uint32(recordSize(apartSize, r.front()))
		}
		k := testHeader.key()
		var got Record
		k.get(file, from, &got)
		step := 1
		if to-from > 2000 {
			step = 13
		}
		for bit := 8 * int(from); bit < 8*int(to-got.Padding()); bit += step {
			bad := bytes.Clone(file)
			bad[bit/8] ^= 1 << (bit % 8)
			next, fixes, ok := k.mend(bad, from, &got, nil)
			if !ok || next != to || !same(got, r) || len(fixes) != 1 ||
				fixes[0] != flipAt(0, bit) {
				t.Fatalf("record %d, bit %d of %d: got %v, %+v, fixes %v, want it mended",
					r.Seq, bit-8*int(from), 8*(to-from), ok, got, fixes)
			}
		}
	}
}

// Torn anywhere, it is no record, and what was before it stays.
func TestARecordWithANoteThatIsTornIsNone(t *testing.T) {
	for _, r := range notedRecords() {
		fsys := disktest.New()
		s := newSegment(t, fsys, 32<<10)
		before := item(100, 40)
		appendItem(t, s, before)
		r.Seq = 101
		at := s.Tail()
		appendItem(t, s, r)
		file, err := fsys.ReadFile(testPath)
		must(t, err)
		end := s.Tail()
		must(t, s.Close())
		step := 1
		if end-at > 1000 {
			step = 7
		}
		for n := at; n < end; n += uint32(step) {
			torn := append(bytes.Clone(file[:n]), make([]byte, len(file)-int(n))...)
			for what, b := range map[string][]byte{"cut": file[:n], "zeros": torn} {
				if bytes.Equal(b, file) { // only what pads it is cut off
					continue
				}
				o, _ := open(t, diskWith(t, b), true)
				found := walk(t, o)
				for i, r := range found {
					if !same(r, [...]Record{before, r}[i]) || i > 1 {
						t.Fatalf("%s at %d: got %+v, which was not written", what, n, r)
					}
				}
				if len(found) != 1 {
					t.Fatalf("%s at %d of %d to %d: got %d records, want the one before", what, n, at, end, len(found))
				}
				must(t, o.Close())
			}
		}
	}
}

// A head may say that there is a note where none can be.
func TestANoteThatNobodyCouldHaveWrittenIsNotRead(t *testing.T) {
	k := key{salt: 9, first: 1}
	for name, spoil := range map[string]func(b []byte){
		"no bytes":              func(b []byte) { le.PutUint16(b[40:], 0) },
		"more than the longest": func(b []byte) { le.PutUint16(b[40:], MaxNote+1) },
		"more than the record":  func(b []byte) { le.PutUint16(b[40:], 300) },
	} {
		r := Record{Seq: 1, Kind: KindItem, Note: []byte("note"), Payload: make([]byte, 200)}
		if name == "more than the longest" {
			r.Payload = make([]byte, 2000)
		}
		b := make([]byte, HeaderSize+4096)
		k.put(b, HeaderSize, &r)
		var got Record
		if _, ok := k.get(b, HeaderSize, &got); !ok || !same(got, r) {
			t.Fatalf("%s: got %+v, want what was written", name, got)
		}
		c := b[HeaderSize:]
		spoil(c)
		end := recordHead + le.Uint32(c[8:])
		le.PutUint64(c, checksum.Update(seedAt(k.salt, HeaderSize), c[8:end]))
		if _, ok := k.get(b, HeaderSize, &got); ok {
			t.Errorf("%s: got %+v, want no record", name, got)
		}
	}
}

func TestAppendingAndReadingANoteDoesNotAllocate(t *testing.T) {
	s := newSegment(t, disktest.New(), 1<<20)
	must(t, s.Extend(1<<20))
	r := item(100, 64)
	r.Due, r.Note = 7, make([]byte, 100)
	var off uint32
	if n := testing.AllocsPerRun(100, func() {
		off, _ = s.Append(&r)
		r.Seq++
	}); n != 0 {
		t.Errorf("got %v allocations for Append, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = s.Head(off) }); n != 0 {
		t.Errorf("got %v allocations for Head, want 0", n)
	}
}

func TestABlockWithoutNotesHasNoColumnForThem(t *testing.T) {
	var b coldBlock
	b.reset(HeaderSize)
	for i := range uint64(3) {
		r := Record{Seq: 100 + i, Kind: KindItem, Payload: []byte("x")}
		b.add(&r)
	}
	plain := b.encode(nil, 0)
	for _, same := range []bool{true, false} {
		r := Record{Seq: 103, Kind: KindItem, Payload: []byte("x"), Note: []byte("n")}
		b.reset(HeaderSize)
		for i := range uint64(3) {
			r.Seq = 100 + i
			if i > 0 && !same {
				r.Note = nil
			}
			b.add(&r)
		}
		raw := b.encode(nil, 0)
		if len(raw) <= len(plain) {
			t.Errorf("got %d bytes with notes and %d without, want more", len(raw), len(plain))
		}
		e := entry{records: 3, from: b.from, to: b.to, first: 100}
		got, ok := decodeBlock(raw, &e, 0)
		if !ok || fmt.Sprint(got.records) != fmt.Sprint(b.records) {
			t.Errorf("got %v, %+v, want %+v", ok, got, b.records)
		}
		raw[len(raw)-len(b.payloads)-1]++ // the last length in the column
		if _, ok := decodeBlock(raw, &e, 0); ok {
			t.Error("got a block whose notes have other lengths, want none")
		}
	}
}
