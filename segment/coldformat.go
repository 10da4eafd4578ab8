package segment

// What a cold file says about itself: a header in three copies, and a directory in two, with an
// entry for each block.
//
//	  0  magic       8 bytes "DARNCLD\n"
//	  8  version     uint32
//	 12  salt        uint32   the file's own
//	 16  first       uint64   as in a segment's header, like the next five
//	 24  created     int64
//	 32  capacity    uint64
//	 40  itemsBefore uint64
//	 48  bytesBefore uint64
//	 56  longest     uint32
//	 60  end         uint32   virtual offset after the last record
//	 64  last        uint64   as in a segment's footer, like the next five
//	 72  items       uint32
//	 76  bytes       uint32
//	 80  large       uint32
//	 84  blocks      uint32   data blocks
//	 88  oldest      int64
//	 96  newest      int64
//	104  directory   uint32   where its second copy starts
//	108  size        uint32   of the file
//	112  codec       uint8    that the file was written with
//	113  parity      uint8    parity blocks for each group of 16 data blocks
//	114  reserved = 0
//	116  log         uint64   as in a segment's header, at the same place
//	124  checksum    uint32   CRC-32C over bytes 0 to 123
//
// An entry of the directory:
//
//	  0  checksum uint32   CRC-32C over bytes 4 to 55, seed salt + number of the entry
//	  4  kind     uint8    1 data, 2 parity
//	  5  codec    uint8    of this block
//	  6  reserved uint16 = 0
//	  8  place    uint32   in the file, a multiple of 8
//	 12  stored   uint32   bytes there
//	 16  sum      uint32   CRC-32C of the stored bytes, seed salt + place/8
//	 20  pieces   uint32   where the first copy of the pieces' checksums stands
//	 24  pieces   uint32   where the second does
//	 28  raw      uint32   bytes before compression; this and what follows is 0 for parity
//	 32  records  uint32
//	 36  from     uint32   virtual offset of the first record
//	 40  to       uint32   virtual offset after the last one
//	 44  reserved uint32 = 0
//	 48  first    uint64   sequence number of the first record

import "github.com/darner/darner/segment/checksum"

const (
	coldMagic = "DARNCLD\n"
	coldEntry = 56

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

func (h *coldHeader) encode() (b [headerLen]byte) {
	b = h.Header.encode()
	copy(b[:], coldMagic)
	le.PutUint32(b[60:], h.end)
	le.PutUint64(b[64:], h.totals.Last)
	le.PutUint32(b[72:], uint32(h.totals.Items))
	le.PutUint32(b[76:], uint32(h.totals.Bytes))
	le.PutUint32(b[80:], uint32(h.totals.Large))
	le.PutUint32(b[84:], h.blocks)
	le.PutUint64(b[88:], uint64(h.totals.Oldest))
	le.PutUint64(b[96:], uint64(h.totals.Newest))
	le.PutUint32(b[104:], h.directory)
	le.PutUint32(b[108:], h.size)
	b[112], b[113] = uint8(h.codec), h.parity
	le.PutUint32(b[headerLen-4:], checksum.Of32(b[:headerLen-4]))
	return b
}

// decode reads one copy. The errors are those of [Header]'s decode.
func (h *coldHeader) decode(b []byte) error {
	if !looksCold(b) || len(b) < headerLen ||
		checksum.Of32(b[:headerLen-4]) != le.Uint32(b[headerLen-4:]) {
		return ErrDamaged
	}
	if le.Uint32(b[versionPlace:]) != version {
		return ErrVersion
	}
	*h = coldHeader{
		Header: Header{
			Salt:        le.Uint32(b[12:]),
			First:       le.Uint64(b[16:]),
			Created:     int64(le.Uint64(b[24:])),
			Capacity:    int64(le.Uint64(b[32:])),
			ItemsBefore: le.Uint64(b[40:]),
			BytesBefore: le.Uint64(b[48:]),
			Longest:     le.Uint32(b[56:]),
			Log:         le.Uint64(b[logPlace:]),
		},
		end: le.Uint32(b[60:]),
		totals: Totals{
			Last:   le.Uint64(b[64:]),
			Items:  uint64(le.Uint32(b[72:])),
			Bytes:  uint64(le.Uint32(b[76:])),
			Large:  uint64(le.Uint32(b[80:])),
			Oldest: int64(le.Uint64(b[88:])),
			Newest: int64(le.Uint64(b[96:])),
		},
		blocks:    le.Uint32(b[84:]),
		directory: le.Uint32(b[104:]),
		size:      le.Uint32(b[108:]),
		codec:     Codec(b[112]),
		parity:    b[113],
	}
	if h.parity > maxParity || h.end < HeaderSize || h.end > MaxCapacity || h.end%Align != 0 ||
		int64(h.size) != int64(h.directory)+h.directoryLen()+headerLen ||
		int64(h.directory) < HeaderSize+h.directoryLen() {
		return ErrDamaged
	}
	return nil
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
func (h *coldHeader) copies() [3]int64 { return [3]int64{0, headerCopy, int64(h.size) - headerLen} }

const (
	dataBlock   = 1
	parityBlock = 2
)

// entry is a block, as the directory describes it.
type entry struct {
	lost bool // no copy of the entry is sound

	kind    uint8
	codec   Codec
	place   uint32
	stored  uint32
	sum     uint32
	pieces  [2]uint32 // offsets of the two copies of the pieces' checksums; 0 without parity
	raw     uint32
	records uint32
	from    uint32 // virtual, like to; of a lost data block, what its neighbours leave
	to      uint32
	first   uint64
}

// encode appends the entry. number is its place in the directory.
func (e *entry) encode(dst []byte, salt uint32, number int) []byte {
	var b [coldEntry]byte
	b[4], b[5] = e.kind, uint8(e.codec)
	for i, v := range [...]uint32{
		e.place, e.stored, e.sum, e.pieces[0], e.pieces[1], e.raw, e.records, e.from, e.to,
	} {
		le.PutUint32(b[8+4*i:], v)
	}
	le.PutUint64(b[48:], e.first)
	le.PutUint32(b[:], checksum.Update32(salt+uint32(number), b[4:]))
	return append(dst, b[:]...)
}

// decode reads one copy of an entry. It is false if that is damaged or makes no sense.
func (e *entry) decode(b []byte, h *coldHeader, number int) bool {
	if len(b) < coldEntry ||
		checksum.Update32(h.Salt+uint32(number), b[4:coldEntry]) != le.Uint32(b) {
		return false
	}
	u := func(at int) uint32 { return le.Uint32(b[at:]) }
	*e = entry{
		kind: b[4], codec: Codec(b[5]), place: u(8), stored: u(12), sum: u(16),
		pieces: [2]uint32{u(20), u(24)},
		raw:    u(28), records: u(32), from: u(36), to: u(40), first: le.Uint64(b[48:]),
	}
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

// pieceSum returns the checksum of a piece, whose bytes are p.
func (e *entry) pieceSum(salt uint32, column int, p []byte) uint32 {
	return checksum.Update32(seed(salt, e.place)+uint32(column*(pieceSize/Align)), p)
}

// pieceSums appends the checksums of all pieces, preceded by one checksum over all these.
func (e *entry) pieceSums(dst []byte, salt uint32, number int, stored []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for c := range e.columns() {
		from, to := e.piece(c)
		dst = le.AppendUint32(dst, e.pieceSum(salt, c, stored[from:to]))
	}
	le.PutUint32(dst[at:], checksum.Update32(sumsSeed(salt, number), dst[at+4:]))
	return dst
}

// sumsLen returns the length of pieceSums in bytes, given the number of stored bytes.
func sumsLen(stored int) int { return 4 + 4*((stored+pieceSize-1)/pieceSize) }

// sumsSeed differs from the seeds of all entries of the directory.
func sumsSeed(salt uint32, number int) uint32 { return salt + 1<<31 + uint32(number) }

// sound reports whether stored are the block's bytes.
func (e *entry) sound(salt uint32, stored []byte) bool {
	return checksum.Update32(seed(salt, e.place), stored) == e.sum
}
