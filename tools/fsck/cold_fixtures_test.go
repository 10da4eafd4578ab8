package fsck_test

// The queue of the cold fixtures. It has the items 1 to 28 of orders, but the first twenty are
// large. Their two segments were compacted into one cold segment of three blocks and a parity
// block, without the items that were taken.

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/checksum"
)

const (
	cold      = orders + "/00000000000000000001-00000000000000000011.cold"
	coldFirst = orders + "/00000000000000000001.cold"
)

func (b *builder) coldOrders() { b.coldWith(1) }

func (b *builder) coldWith(parity int) {
	b.sources(1, 11)
	var sources []*segment.Segment
	for _, path := range []string{first, second} {
		s, _, err := segment.Open(b.fs, path, segment.OpenOptions{})
		must(b.t, err)
		defer s.Close()
		sources = append(sources, s)
	}
	keep := func(r *segment.Record) bool { return r.Seq > 3 && r.Seq != 6 && r.Seq != 7 }
	must(b.t, segment.WriteCold(b.fs, cold, sources,
		segment.ColdOptions{Codec: segment.CodecZstd, Parity: parity}, keep, nil))
	b.remove(first)
	b.remove(second)
	b.segment(last, 21, 28, false)
	b.taken(4)
}

// sources makes the segments, of ten items each, from which the cold one was made.
func (b *builder) sources(firsts ...uint64) {
	for _, n := range firsts {
		b.large(n, n+9)
	}
}

// wideSource makes a segment that the cold one claims to replace, and that holds more.
func (b *builder) wideSource() {
	b.large(11, 25)
	b.remove(last)
	b.segment(orders+"/00000000000000000026.seg", 26, 28, false)
}

func (b *builder) large(from, to uint64) {
	path := fmt.Sprintf("%s/%020d.seg", orders, from)
	s, err := segment.Create(b.fs, path, 1<<20)
	if err != nil {
		must(b.t, b.fs.Mkdir(orders))
		s, err = segment.Create(b.fs, path, 1<<20)
	}
	must(b.t, err)
	must(b.t, s.Start(segment.Header{Salt: from * 1000003, First: from, Created: epoch,
		ItemsBefore: from - 1, BytesBefore: 60 * (from - 1), Log: b.log}))
	for seq := from; seq <= to; seq++ {
		payload := fmt.Appendf(nil, "order %d: %s", seq, strings.Repeat("many things, ", 1900))
		must(b.t, s.Extend(segment.RecordSize(len(payload))))
		_, err := s.Append(&segment.Record{Seq: seq, Kind: segment.KindItem,
			ClientFlags: uint32(seq), Enqueued: epoch + int64(seq)*1000, Payload: payload})
		must(b.t, err)
	}
	must(b.t, s.Seal())
	must(b.t, s.Close())
}

// Offsets in the cold file, according to docs/format.md.

// entry returns the offset of a block's entry in the first copy of the directory. Blocks 0 to 2
// hold items, block 3 parity.
func (b *builder) entry(i int) int { return 1024 + 64*i }

func (b *builder) entry2(i int) int {
	return int(binary.LittleEndian.Uint32(b.get(cold)[140:])) + 64*i
}

// place returns the offset of a block.
func (b *builder) place(i int) int {
	return int(binary.LittleEndian.Uint32(b.get(cold)[b.entry(i)+20:]))
}

// block returns the offset of the block that begins with an item.
func (b *builder) block(seq uint64) int {
	return b.place(slices.Index([]uint64{4, 11, 16}, seq))
}

func (b *builder) parity() int { return b.place(3) }

// beyondParity damages a block and the parity block.
func (b *builder) beyondParity() {
	b.spoil(cold, b.block(11)+10)
	b.spoil(cold, b.parity()+10)
}

// beheaded damages all copies of the header.
func (b *builder) beheaded() {
	b.spoil(cold, 20)
	b.spoil(cold, 512+20)
	b.spoil(cold, b.size(cold)-192+20)
}

// newerCold makes the cold segment one of a later format.
func (b *builder) newerCold() {
	c := b.get(cold)
	for _, at := range []int{0, 512} {
		h := c[at : at+192]
		h[8]++
		binary.LittleEndian.PutUint64(h[184:], checksum.Of(h[:184]))
	}
	b.put(cold, c)
}

func (b *builder) lose(path string, at, n int) { b.write(path, at, string(make([]byte, n))) }
