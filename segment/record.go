package segment

// The record: what one item looks like in the file, and the one function that decides whether bytes
// are a record.
//
//	 0  checksum  uint32   CRC-32C over bytes 4.. to the payload's end
//	 4  length    uint32   payload bytes
//	 8  sequence  uint64
//	16  kind      uint8    17 flags uint8    18 reserved uint16 = 0
//	20  cflags    uint32
//	24  enqueued  int64
//	32  expires   int64
//	40  payload, then zeros up to a multiple of 8
//
// The checksum starts from the segment's salt plus the record's offset in units of 8 bytes. So a
// record that was copied to any other place does not verify.

import (
	"encoding/binary"

	"github.com/darner/darner/segment/checksum"
)

// Kind says what a record's payload is. Zero is not a kind, so that zeros are not a record.
type Kind uint8

const (
	KindItem  Kind = 1 // the payload is the item
	KindLarge Kind = 2 // the payload describes an item that lives in its own file
)

// Record is one entry of a segment.
type Record struct {
	Seq         uint64 // sequence number, rising from record to record
	Kind        Kind
	Flags       uint8  // for the log's own use, kept as given
	ClientFlags uint32 // not interpreted, kept as given
	Enqueued    int64  // Unix milliseconds
	Expires     int64  // Unix milliseconds, 0 = never
	Due         int64  // Unix milliseconds, 0 = at once; not acted upon
	Consumer    uint16 // the one consumer that it is for; 0 means all; not acted upon
	Payload     []byte // of a record that was read: aliases the map
}

// Align is the alignment of records in bytes: offsets and sizes are multiples of it.
const Align = 8

const recordHead = 40

var le = binary.LittleEndian

// RecordSize returns the bytes that a record takes in the file, given the length of its payload.
func RecordSize(payload int) int64 {
	return align(recordHead + int64(payload))
}

func align(n int64) int64 { return (n + Align - 1) &^ (Align - 1) }

// key is what is needed to verify a segment's records.
type key struct {
	salt    uint32
	first   uint64
	longest uint32 // payload bytes, 0 for any: bounds the checksum of bytes that look like a record
}

// seed is the value that the checksum of what is stored at off starts from.
func seed(salt, off uint32) uint32 { return salt + off/Align }

// put writes the record at off of b, where all bytes are zero. The checksum is stored last. If the
// process dies before that, there is no record, and four zero bytes show that there never was one.
func (k key) put(b []byte, off uint32, r *Record) {
	k.encode(b[off:int64(off)+RecordSize(len(r.Payload))], off, r)
}

// encode fills b with the record as it is stored at off.
func (k key) encode(b []byte, off uint32, r *Record) {
	copy(b[recordHead:], r.Payload)
	k.encodeHead(b, off, r)
}

// encodeHead fills the first recordHead bytes of b.
func (k key) encodeHead(b []byte, off uint32, r *Record) {
	le.PutUint32(b[4:], uint32(len(r.Payload)))
	le.PutUint64(b[8:], r.Seq)
	le.PutUint64(b[16:], uint64(r.Kind)|uint64(r.Flags)<<8|uint64(r.ClientFlags)<<32)
	le.PutUint64(b[24:], uint64(r.Enqueued))
	le.PutUint64(b[32:], uint64(r.Expires))
	sum := checksum.Update32(seed(k.salt, off), b[4:recordHead])
	le.PutUint32(b, checksum.Update32(sum, r.Payload))
}

// get reads the record at off of b. It is false unless a complete record that verifies is there.
// Cheap checks come before the checksum.
func (k key) get(b []byte, off uint32, r *Record) (next uint32, ok bool) {
	if off%Align != 0 || off < HeaderSize || int64(off)+recordHead > int64(len(b)) {
		return 0, false
	}
	b = b[off:]
	word := le.Uint64(b[16:])
	if !plausible(word) {
		return 0, false
	}
	length, seq := le.Uint32(b[4:]), le.Uint64(b[8:])
	size := align(recordHead + int64(length))
	if seq < k.first || k.tooLong(length) || size > int64(len(b)) {
		return 0, false
	}
	end := recordHead + int(length)
	if checksum.Update32(seed(k.salt, off), b[4:end]) != le.Uint32(b) {
		return 0, false
	}
	r.Seq = seq
	r.Kind, r.Flags, r.ClientFlags = Kind(word), uint8(word>>8), uint32(word>>32)
	r.Enqueued, r.Expires = int64(le.Uint64(b[24:])), int64(le.Uint64(b[32:]))
	r.Payload = b[recordHead:end:end]
	return off + uint32(size), true
}

// costs returns how many bytes get looks at.
func (k key) costs(b []byte, off uint32) int {
	length := le.Uint32(b[off+4:])
	if k.tooLong(length) || int64(off)+recordHead+int64(length) > int64(len(b)) {
		return recordHead
	}
	return recordHead + int(length)
}

func (k key) tooLong(length uint32) bool { return k.longest != 0 && length > k.longest }

// plausible checks bytes 16 to 23 of a record: the kind must be known and the reserved bytes zero.
func plausible(word uint64) bool {
	kind := Kind(word)
	return (kind == KindItem || kind == KindLarge) && word&0xffff0000 == 0
}
