package segment

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func drawRecord(t *rapid.T) Record {
	return Record{
		Seq:         rapid.Uint64Range(1, 1<<63).Draw(t, "seq"),
		Kind:        rapid.SampledFrom([]Kind{KindItem, KindLarge}).Draw(t, "kind"),
		Flags:       rapid.Uint8().Draw(t, "flags") &^ ownFlags,
		ClientFlags: rapid.Uint32().Draw(t, "cflags"),
		Enqueued:    rapid.Int64().Draw(t, "enqueued"),
		Expires:     rapid.Int64().Draw(t, "expires"),
		Due:         rapid.SampledFrom([]int64{0, 0, 1, 1 << 60}).Draw(t, "due"),
		Consumer:    rapid.Uint16().Draw(t, "consumer"),
		Payload:     rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "payload"),
		Note: rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOfN(rapid.Byte(), 1, MaxNote)).
			Draw(t, "note"),
	}
}

func TestRecordReadsBackAsWrittenAndNowhereElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		k := key{salt: rapid.Uint64().Draw(t, "salt"), first: r.Seq, least: r.Seq}
		size := uint32(r.Size())
		off := HeaderSize + Align*rapid.Uint32Range(0, 100).Draw(t, "place")
		b := make([]byte, HeaderSize+3*4096)
		k.put(b, off, &r)
		var got Record
		next, ok := k.get(b, off, &got)
		if !ok || next != off+size || !same(got, r) {
			t.Fatalf("got %v, next %d, %+v, want %+v up to %d", ok, next, got, r, off+size)
		}
		if _, ok := k.get(b[:next-1], off, &got); ok {
			t.Fatal("a record that is cut short verifies")
		}

		other := off + size + Align*rapid.Uint32Range(0, 100).Draw(t, "other")
		copy(b[other:], b[off:next])
		if _, ok := k.get(b, other, &got); ok {
			t.Fatal("a record copied to another place verifies")
		}
		if _, ok := (key{salt: k.salt + 1, first: k.first}).get(b, off, &got); ok {
			t.Fatal("a record of another segment verifies")
		}
		later := key{salt: k.salt, first: k.first, least: k.first + 1}
		if _, ok := later.get(b, off, &got); ok {
			t.Fatal("a record from before the segment verifies")
		}
	})
}

func TestNoFlippedBitOfARecordGoesUnnoticed(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 64} {
		k, r := key{salt: 9, first: 1}, item(15, size)
		b := make([]byte, HeaderSize+256)
		k.put(b, HeaderSize, &r)
		for bit := range (recordHead + int(r.front()) + size) * 8 {
			b[HeaderSize+bit/8] ^= 1 << (bit % 8)
			if _, ok := k.get(b, HeaderSize, &Record{}); ok {
				t.Errorf("payload of %d, bit %d flipped: got a valid record, want none", size, bit)
			}
			b[HeaderSize+bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestRecordSizeIsAligned(t *testing.T) {
	for payload, want := range map[int]int64{
		0: 40, 1: 48, 8: 48, 9: 56, 4096: 4136, 65536: 65576 + 56,
	} {
		if got := RecordSize(payload); got != want {
			t.Errorf("a payload of %d takes %d bytes, want %d", payload, got, want)
		}
	}
}

// FuzzRecord reads arbitrary bytes as a record: what verifies must be what
// put writes, byte for byte.
func FuzzRecord(f *testing.F) {
	for _, size := range []int{0, 3, 64} {
		for _, seq := range []uint64{1, 5, 15} { // without due time and note, with one, with both
			k, r := key{salt: 77, first: 1}, item(seq, size)
			b := make([]byte, HeaderSize+r.Size())
			k.put(b, HeaderSize, &r)
			f.Add(b[HeaderSize:], uint64(77), uint64(1), uint32(0))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, salt uint64, first uint64, shift uint32) {
		b := append(make([]byte, HeaderSize), data...)
		k, off := key{salt: salt, first: first, least: first}, HeaderSize+shift
		var r Record
		next, ok := k.getSound(b, off, &r)
		if !ok || r.Kind == kindBody || r.apart != 0 {
			return
		}
		if r.Seq < first || int(next) > len(b) || next <= off {
			t.Fatalf("got record %+v up to %d, want it within %d bytes", r, next, len(b))
		}
		again := make([]byte, len(b)+inlineMost)
		k.put(again, off, &r)
		end := int(off) + recordHead + int(r.front()) + len(r.Payload)
		if r.Due == 0 && b[off+17]&flagDue != 0 {
			return // a due time of 0 is read as none
		}
		if !bytes.Equal(again[off:end], b[off:end]) {
			t.Fatalf("got %x valid, want what would be written, %x", b[off:end], again[off:end])
		}
	})
}
