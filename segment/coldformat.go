package segment

// What a cold file says about itself: a header in three copies, and a directory in two, with an
// entry for each block.
//
//	  0  magic       8 bytes "DARNCLD\n"
//	  8  version     uint32   as in a segment's header, like all up to log
//	 12  longest     uint32
//	 16  salt        uint64   the file's own
//	 24  reserved = 0
//	 32  first       uint64
//	 40  created     int64
//	 48  capacity    uint64
//	 56  itemsBefore uint64
//	 64  bytesBefore uint64
//	 72  log         uint64
//	 80  last        uint64   as in a segment's footer, like all up to large
//	 88  oldest      int64
//	 96  newest      int64
//	104  expiry      int64    the earliest
//	112  due         int64    the latest
//	120  items       uint32
//	124  bytes       uint32
//	128  large       uint32
//	132  end         uint32   virtual offset after the last record
//	136  blocks      uint32   data blocks
//	140  directory   uint32   where its second copy starts
//	144  size        uint32   of the file
//	148  codec       uint8    that the file was written with
//	149  parity      uint8    parity blocks for each group of 16 data blocks
//	150  reserved = 0
//	152  dueBefore   int64    as in a segment's header, like the next one
//	160  expiring    uint64
//	168  reserved = 0
//	184  checksum    uint64   over bytes 0 to 183
//
// An entry of the directory:
//
//	  0  checksum uint64   over bytes 8 to 63, seed salt + number of the entry
//	  8  sum      uint64   checksum of the stored bytes, seed salt + place/8
//	 16  kind     uint8    1 data, 2 parity
//	 17  codec    uint8    of this block
//	 18  reserved uint16 = 0
//	 20  place    uint32   in the file, a multiple of 8
//	 24  stored   uint32   bytes there
//	 28  pieces   uint32   where the first copy of the pieces' checksums stands
//	 32  pieces   uint32   where the second does
//	 36  raw      uint32   bytes before compression; this and what follows is 0 for parity
//	 40  records  uint32
//	 44  from     uint32   virtual offset of the first record
//	 48  to       uint32   virtual offset after the last one
//	 52  reserved uint32 = 0
//	 56  first    uint64   sequence number of the first record

import (
	"bytes"

	"github.com/darner/darner/segment/checksum"
)

const (
	coldMagic     = "DARNCLD\n"
	coldHeaderLen = 192
	coldEntry     = 64

	groupData = 16 // data blocks that share parity blocks
	maxParity = 4

	pieceSize = 4 << 10 // bytes under one checksum, which shows whether they need rebuilding

	// shortBlock: a block that is stored in fewer bytes starts on a page of its own, if there is
	// parity. A lost page hits the end of one block and the start of the next. These are in
	// different columns only if the blocks have at least two columns.
	shortBlock = 2 * pieceSize
)

// coldHeader is the header of a cold file.
type coldHeader struct {
	Header
	totals    Totals
	end       uint32 // virtual
	blocks    uint32
	directory uint32
	size      uint32
	codec     Codec
	parity    uint8
}

func (h *coldHeader) encode() (b [coldHeaderLen]byte) {
	copy(b[:], coldMagic)
	le.PutUint32(b[versionPlace:], version)
	le.PutUint32(b[12:], h.Longest)
	for i, v := range [...]uint64{
		h.First, uint64(h.Created), uint64(h.Capacity), h.ItemsBefore, h.BytesBefore, h.Log,
		h.totals.Last, uint64(h.totals.Oldest), uint64(h.totals.Newest),
		uint64(h.totals.EarliestExpiry), uint64(h.totals.LatestDue),
	} {
		le.PutUint64(b[32+8*i:], v)
	}
	for i, v := range [...]uint32{
		uint32(h.totals.Items), uint32(h.totals.Bytes), uint32(h.totals.Large),
		h.end, h.blocks, h.directory, h.size,
	} {
		le.PutUint32(b[120+4*i:], v)
	}
	le.PutUint64(b[16:], h.Salt)
	b[148], b[149] = uint8(h.codec), h.parity
	h.putTimes(b[152:])
	le.PutUint64(b[coldHeaderLen-8:], checksum.Of(b[:coldHeaderLen-8]))
	return b
}

// decode reads one copy. A flipped bit in it is mended in memory. The errors are those of
// [Header]'s decode.
func (h *coldHeader) decode(b []byte) (flipped bool, err error) {
	if len(b) < coldHeaderLen {
		return false, ErrDamaged
	}
	b = bytes.Clone(b[:coldHeaderLen])
	v := le.Uint32(b[versionPlace:])
	flipped, ok := verified(0, b[coldHeaderLen-8:], b[:coldHeaderLen-8])
	switch {
	case !ok && looksCold(b) && v == 1: // its checksum was another
		return false, OtherVersion(v)
	case !ok, !looksCold(b):
		return false, ErrDamaged
	}
	if v = le.Uint32(b[versionPlace:]); v != version {
		return false, OtherVersion(v)
	}
	u := func(at int) uint64 { return le.Uint64(b[at:]) }
	w := func(at int) uint32 { return le.Uint32(b[at:]) }
	*h = coldHeader{
		Header: Header{
			Salt: u(16), Longest: w(12),
			First: u(32), Created: int64(u(40)), Capacity: int64(u(48)),
			ItemsBefore: u(56), BytesBefore: u(64), Log: u(72),
		},
		totals: Totals{
			Last: u(80), Oldest: int64(u(88)), Newest: int64(u(96)),
			EarliestExpiry: int64(u(104)), LatestDue: int64(u(112)),
			Items: uint64(w(120)), Bytes: uint64(w(124)), Large: uint64(w(128)),
		},
		end: w(132), blocks: w(136), directory: w(140), size: w(144),
		codec: Codec(b[148]), parity: b[149],
	}
	h.getTimes(b[152:])
	if h.parity > maxParity || h.end < HeaderSize || h.end > MaxCapacity || h.end%Align != 0 ||
		int64(h.size) != int64(h.directory)+h.directoryLen()+coldHeaderLen ||
		int64(h.directory) < HeaderSize+h.directoryLen() {
		return false, ErrDamaged
	}
	return flipped, nil
}

// verified reports whether b has the checksum sum, starting from start. A flipped bit is flipped
// back.
func verified(start uint64, sum, b []byte) (flipped, ok bool) {
	if checksum.Update(start, b) == le.Uint64(sum) {
		return false, true
	}
	_, ok = checksum.Mend(start, sum, b)
	return ok, ok
}

func looksCold(b []byte) bool { return len(b) >= 8 && string(b[:8]) == coldMagic }

// groups returns the number of groups that the data blocks make.
func (h *coldHeader) groups() int { return (int(h.blocks) + groupData - 1) / groupData }

// group returns the entries of a group: its data blocks from..parity, its parity blocks parity..to.
func (h *coldHeader) group(g int) (from, parity, to int) {
	from = g * (groupData + int(h.parity))
	parity = from + min(groupData, int(h.blocks)-g*groupData)
	return from, parity, parity + int(h.parity)
}

// number returns the number of a data block's entry.
func (h *coldHeader) number(block int) int { return block + block/groupData*int(h.parity) }

// groupOf returns the group that an entry belongs to.
func (h *coldHeader) groupOf(number int) int { return number / (groupData + int(h.parity)) }

func (h *coldHeader) isParity(number int) bool {
	_, parity, _ := h.group(h.groupOf(number))
	return number >= parity
}

// entries returns the number of entries: group after group, each with its data blocks and then its
// parity blocks.
func (h *coldHeader) entries() int64 {
	return int64(h.blocks) + int64(h.groups())*int64(h.parity)
}

func (h *coldHeader) directoryLen() int64 { return coldEntry * h.entries() }

// copies returns the offsets of the header's copies.
func (h *coldHeader) copies() [3]int64 {
	return [3]int64{0, headerCopy, int64(h.size) - coldHeaderLen}
}

const (
	dataBlock   = 1
	parityBlock = 2
)

// entry is a block, as the directory describes it.
type entry struct {
	lost bool // no copy of the entry is sound

	sum     uint64
	kind    uint8
	codec   Codec
	place   uint32
	stored  uint32
	pieces  [2]uint32 // offsets of the two copies of the pieces' checksums; 0 without parity
	raw     uint32
	records uint32
	from    uint32 // virtual, like to; of a lost data block, what its neighbours leave
	to      uint32
	first   uint64
}

// encode appends the entry. number is its place in the directory.
func (e *entry) encode(dst []byte, salt uint64, number int) []byte {
	var b [coldEntry]byte
	le.PutUint64(b[8:], e.sum)
	b[16], b[17] = e.kind, uint8(e.codec)
	for i, v := range [...]uint32{
		e.place, e.stored, e.pieces[0], e.pieces[1], e.raw, e.records, e.from, e.to,
	} {
		le.PutUint32(b[20+4*i:], v)
	}
	le.PutUint64(b[56:], e.first)
	le.PutUint64(b[:], checksum.Update(checksum.Seed(salt, uint32(number)), b[8:]))
	return append(dst, b[:]...)
}

// decode reads one copy of an entry, in which a flipped bit is mended in memory. ok is false if it
// is damaged otherwise or makes no sense.
func (e *entry) decode(b []byte, h *coldHeader, number int) (flipped, ok bool) {
	if len(b) < coldEntry {
		return false, false
	}
	b = bytes.Clone(b[:coldEntry])
	if flipped, ok = verified(checksum.Seed(h.Salt, uint32(number)), b, b[8:]); !ok {
		return false, false
	}
	u := func(at int) uint32 { return le.Uint32(b[at:]) }
	*e = entry{
		sum: le.Uint64(b[8:]), kind: b[16], codec: Codec(b[17]), place: u(20), stored: u(24),
		pieces: [2]uint32{u(28), u(32)},
		raw:    u(36), records: u(40), from: u(44), to: u(48), first: le.Uint64(b[56:]),
	}
	return flipped, e.sensible(h, number)
}

// sensible reports whether the entry is one that the file can have at that place.
func (e *entry) sensible(h *coldHeader, number int) bool {
	if e.place%Align != 0 || int64(e.place)+int64(e.stored) > int64(h.size) {
		return false
	}
	if h.isParity(number) {
		return e.kind == parityBlock
	}
	return e.kind == dataBlock && e.first >= h.First &&
		e.from >= HeaderSize && e.from < e.to && e.to <= h.end &&
		e.from%Align == 0 && e.to%Align == 0 &&
		e.records > 0 && e.records <= blockRecords &&
		int64(e.records)*recordHead <= int64(e.to-e.from) &&
		int64(e.raw) <= rawBound(e.to-e.from, e.records)
}

// columns returns the number of the block's pieces.
func (e *entry) columns() int { return (int(e.stored) + pieceSize - 1) / pieceSize }

// piece returns the range of a piece in the stored bytes.
func (e *entry) piece(column int) (from, to int) {
	return column * pieceSize, int(min(int64(column+1)*pieceSize, int64(e.stored)))
}

// pieceSeed returns what the checksum of a piece starts from. It has 32 bits: it only tells which
// pieces of a damaged block to take, and the block's own checksum verifies the outcome.
func (e *entry) pieceSeed(salt uint64, column int) uint32 {
	return uint32(checksum.Seed(salt, e.place/Align+uint32(column*(pieceSize/Align))))
}

// pieceSums appends the checksums of all pieces.
func (e *entry) pieceSums(dst []byte, salt uint64, stored []byte) []byte {
	for c := range e.columns() {
		from, to := e.piece(c)
		dst = le.AppendUint32(dst, checksum.Update32(e.pieceSeed(salt, c), stored[from:to]))
	}
	return dst
}

// sumsLen returns the length of pieceSums in bytes.
func (e *entry) sumsLen() int { return 4 * e.columns() }

// sumStart returns what the checksum of the stored bytes starts from.
func (e *entry) sumStart(salt uint64) uint64 { return checksum.Seed(salt, e.place/Align) }

// sound reports whether stored are the block's bytes.
func (e *entry) sound(salt uint64, stored []byte) bool {
	return checksum.Update(e.sumStart(salt), stored) == e.sum
}

// unflip mends stored if one flipped bit explains that they are not the block's bytes. The sum
// itself is sound, as the entry was verified.
func (e *entry) unflip(salt uint64, stored []byte) bool {
	bit, ok := checksum.Flipped(e.sumStart(salt), e.sum, stored)
	if !ok || bit == checksum.InSum {
		return false
	}
	checksum.Flip(stored, bit)
	return true
}
