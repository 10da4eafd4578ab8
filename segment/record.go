package segment

// The record: what one item looks like in the file, and the functions that decide whether bytes are
// a record.
//
//	 0  checksum  uint64   over bytes 8.. to the end of what length counts
//	 8  length    uint32   bytes after the first 40
//	12  sequence  uint32   less the segment's first
//	16  kind      uint8    17 flags uint8    18 consumer uint16
//	20  cflags    uint32
//	24  enqueued  int64
//	32  expires   int64
//	40  due       int64    only if the flags say so
//	..  note      uint16   its length, then its bytes; only if the flags say so
//	..  payload, then zeros up to a multiple of 8
//
// The checksum starts from the segment's salt and the record's offset in units of 8 bytes. So a
// record that was copied to any other place does not verify. After the last record stand 8 zero
// bytes, a checksum that no record has.
//
// A payload of more than 4 KiB is apart: it is in a body, which has a head like a record and is
// none, and the record after it says where. So it may come in pieces, while other records are
// appended, and a record is verified at once however long its payload is. The payload of such a
// record is
//
//	 0  offset    uint32   of the payload
//	 4  size      uint32   of the payload
//	 8  checksum  uint64   of the payload, starting from the salt and its offset
//
// The checksum in a body's head covers bytes 8 to 39, and its length is what it has room for.

import (
	"encoding/binary"

	"github.com/darner/darner/segment/checksum"
)

// Kind says what a record's payload is. Zero is not a kind, so that zeros are not a record.
type Kind uint8

const (
	KindItem  Kind = 1 // the payload is the item
	KindLarge Kind = 2 // the payload describes an item that lives in its own file

	kindBody  Kind = 3 // no record: room for the payload of one
	kindApart Kind = 4 // an item whose payload is in a body
)

// Record is one entry of a segment.
type Record struct {
	Seq         uint64 // sequence number, rising from record to record
	Kind        Kind
	Flags       uint8  // for the log's own use, kept as given, but for the bits 2 and 4
	Consumer    uint16 // the one consumer that it is for; 0 means all; not acted upon
	ClientFlags uint32 // not interpreted, kept as given
	Enqueued    int64  // Unix milliseconds
	Expires     int64  // Unix milliseconds, 0 = never
	Due         int64  // Unix milliseconds, 0 = at once; not acted upon
	Payload     []byte // of a record that was read: aliases the map

	// Note is what a record carries besides its payload, at most [MaxNote] bytes. It is not
	// interpreted, and counts nowhere as payload. Of a record that was read it aliases the map.
	Note []byte

	// Mended: the record was read with a flipped bit, which was mended in memory alone.
	Mended bool

	off   uint32 // of the record itself, after bodies that are not its own
	apart uint32 // where the payload is if it is apart; else 0
	sum   uint64 // its checksum
}

// Offset returns where a record that was read is in its segment.
func (r *Record) Offset() uint32 { return r.off }

// Extent returns the range of a segment that a record takes that was read, with its payload.
func (r *Record) Extent() (from, to uint32) {
	if r.apart != 0 {
		return r.apart - recordHead, r.off + uint32(recordSize(apartSize, r.front()))
	}
	return r.off, r.off + uint32(r.Size())
}

// Align is the alignment of records in bytes: offsets and sizes are multiples of it.
const Align = 8

// MaxNote is the longest note of a record, in bytes.
const MaxNote = 512

const (
	recordHead = 40
	dueSize    = 8
	noteHead   = 2 // its length
	apartSize  = 16
	endSize    = 8 // zeros after the last record

	// frontMost is the most bytes between the head of a record and its payload.
	frontMost = dueSize + noteHead + MaxNote

	// inlineMost is the longest payload, in bytes, that is in the record itself.
	inlineMost = 4 << 10

	flagDue  = 2 // the due time is before the payload
	flagNote = 4 // so is the note, after that
	ownFlags = flagDue | flagNote
)

var le = binary.LittleEndian

// RecordSize returns the bytes that a record without due time and note takes in the file, given the
// length of its payload.
func RecordSize(payload int) int64 { return recordSize(int64(payload), 0) }

// recordSize is that of a record with front bytes between its head and its payload.
func recordSize(payload, front int64) int64 {
	body := int64(0)
	if payload > inlineMost {
		body, payload = align(recordHead+payload), apartSize
	}
	return body + align(recordHead+front+payload)
}

// Padding returns how many zeros follow the payload of a record that was read, up to the next one.
func (r *Record) Padding() uint32 {
	n := len(r.Payload)
	if r.apart != 0 {
		n = apartSize
	}
	return -(uint32(r.front()) + uint32(n)) % Align
}

// Size returns the bytes that [Segment.Append] takes for the record.
func (r *Record) Size() int64 { return recordSize(int64(len(r.Payload)), r.front()) }

// front returns the bytes between the record's head and its payload.
func (r *Record) front() (n int64) {
	if r.Due != 0 {
		n = dueSize
	}
	if len(r.Note) > 0 {
		n += noteHead + int64(len(r.Note))
	}
	return n
}

func align(n int64) int64 { return (n + Align - 1) &^ (Align - 1) }

// key is what is needed to verify a segment's records.
type key struct {
	salt    uint64
	first   uint64
	least   uint64 // the lowest sequence number that counts
	longest uint32 // payload bytes, 0 for any
}

// seedAt is the value that the checksum of what is stored at a place starts from.
func seedAt(salt uint64, place uint32) uint64 { return checksum.Seed(salt, place/Align) }

// head fills the first bytes of a record or a body, up to the payload, but for the checksum. It
// returns how many these are. length is that of the payload as it is stored.
func (k key) head(b []byte, r *Record, kind Kind, length int) int {
	n, flags := recordHead, r.Flags&^ownFlags
	if r.Due != 0 {
		flags |= flagDue
		le.PutUint64(b[n:], uint64(r.Due))
		n += dueSize
	}
	if len(r.Note) > 0 {
		flags |= flagNote
		le.PutUint16(b[n:], uint16(len(r.Note)))
		n += noteHead + copy(b[n+noteHead:], r.Note)
	}
	le.PutUint32(b[8:], uint32(n-recordHead+length))
	le.PutUint32(b[12:], uint32(r.Seq-k.first))
	le.PutUint64(b[16:],
		uint64(kind)|uint64(flags)<<8|uint64(r.Consumer)<<16|uint64(r.ClientFlags)<<32)
	le.PutUint64(b[24:], uint64(r.Enqueued))
	le.PutUint64(b[32:], uint64(r.Expires))
	return n
}

// encode fills b with a record that has its payload itself, as it is stored at off. The checksum is
// stored last: if the process dies before that, there is no record.
func (k key) encode(b []byte, off uint32, r *Record) {
	n := k.head(b, r, r.Kind, len(r.Payload))
	end := n + copy(b[n:], r.Payload)
	clear(b[end:])
	le.PutUint64(b, checksum.Update(seedAt(k.salt, off), b[8:end]))
}

// encodeApart fills b with the record of a payload that is apart, as it is stored at off. It
// returns its length, with the zeros after it.
func (k key) encodeApart(b []byte, off uint32, r *Record) int {
	n := k.head(b, r, kindApart, apartSize)
	le.PutUint32(b[n:], r.apart)
	le.PutUint32(b[n+4:], uint32(len(r.Payload)))
	le.PutUint64(b[n+8:], r.sum)
	n += apartSize
	end := int(align(int64(n)))
	clear(b[n:end])
	le.PutUint64(b, checksum.Update(seedAt(k.salt, off), b[8:n]))
	return end
}

// encodeBody fills b with the head of a body with room for size bytes, as it is stored at off.
func (k key) encodeBody(b []byte, off uint32, size int) {
	k.head(b, &Record{Seq: k.first}, kindBody, size)
	le.PutUint64(b, checksum.Update(seedAt(k.salt, off), b[8:recordHead]))
}

// frame is what the head of a record or a body says about its extent.
type frame struct {
	kind    Kind
	flags   uint8 // those of ownFlags
	covered int   // bytes that the checksum covers, counted from the start
	size    int64 // bytes until the next record
}

// frame reads the head h of a record for which there are room bytes. It is false if that makes no
// sense. How long a note is stands after the head, so decode looks at that.
func (k key) frame(h []byte, room int64) (f frame, ok bool) {
	length := le.Uint32(h[8:])
	f.kind, f.flags = Kind(h[16]), h[17]&ownFlags
	f.size = align(recordHead + int64(length))
	if f.size > room {
		return f, false
	}
	f.covered = recordHead + int(length)
	payload, note := length, uint32(0) // with the note, which has at most so many bytes
	if f.flags != 0 {
		if f.flags&flagDue != 0 {
			payload -= dueSize
		}
		if f.flags&flagNote != 0 {
			payload -= noteHead
			note = MaxNote
		}
	}
	switch f.kind {
	case kindBody:
		f.covered = recordHead
		return f, f.flags == 0 && !k.tooLong(length)
	case kindApart:
		return f, payload-apartSize <= note
	case KindItem, KindLarge:
		return f, payload <= inlineMost+note && !k.tooLong(max(payload, note)-note)
	}
	return f, false
}

// get reads the record or body at off of b. It is false unless one that verifies is there. Cheap
// checks come before the checksum. A payload that is apart is not verified: see sound.
func (k key) get(b []byte, off uint32, r *Record) (next uint32, ok bool) {
	if off%Align != 0 || off < HeaderSize || int64(off)+recordHead > int64(len(b)) {
		return 0, false
	}
	c := b[off:]
	f, ok := k.frame(c, int64(len(c)))
	if !ok || checksum.Update(seedAt(k.salt, off), c[8:f.covered]) != le.Uint64(c) {
		return 0, false
	}
	return off + uint32(f.size), k.decode(b, off, c, f, r)
}

// decode fills r from c, the bytes of a record at off of b that verifies. It is false if the
// record is out of place, or is none that could have been written.
func (k key) decode(b []byte, off uint32, c []byte, f frame, r *Record) bool {
	r.Seq = k.first + uint64(le.Uint32(c[12:]))
	r.Kind, r.Flags = f.kind, c[17]&^ownFlags
	r.Consumer, r.ClientFlags = le.Uint16(c[18:]), le.Uint32(c[20:])
	r.Enqueued, r.Expires = int64(le.Uint64(c[24:])), int64(le.Uint64(c[32:]))
	r.Due, r.Note, r.Mended, r.off, r.apart, r.sum = 0, nil, false, off, 0, 0
	if f.kind == kindBody {
		r.Payload = b[off+recordHead:][:le.Uint32(c[8:])]
		return true
	}
	at := recordHead
	if f.flags != 0 {
		var ok bool
		if at, ok = k.decodeFront(c, f, r); !ok {
			return false
		}
	}
	r.Payload = c[at:f.covered:f.covered]
	if f.kind == kindApart {
		r.Kind = KindItem
		r.apart, r.sum = le.Uint32(c[at:]), le.Uint64(c[at+8:])
		end := int64(r.apart) + int64(le.Uint32(c[at+4:]))
		if r.apart < HeaderSize || r.apart%Align != 0 || end > int64(off) {
			return false
		}
		r.Payload = b[r.apart:end:end]
	}
	return r.Seq >= k.least
}

// decodeFront reads what is between the head of a record and its payload, which starts at at.
func (k key) decodeFront(c []byte, f frame, r *Record) (at int, ok bool) {
	at = recordHead
	if f.flags&flagDue != 0 {
		r.Due = int64(le.Uint64(c[at:]))
		at += dueSize
	}
	if f.flags&flagNote == 0 {
		return at, true
	}
	n := int(le.Uint16(c[at:]))
	at += noteHead
	payload := f.covered - at - n
	if n == 0 || n > MaxNote || payload < 0 {
		return 0, false
	}
	r.Note = c[at : at+n : at+n]
	if f.kind == kindApart {
		return at + n, payload == apartSize
	}
	return at + n, payload <= inlineMost && !k.tooLong(uint32(payload))
}

// sound reports whether the payload of a record verifies that get has read. It is true for a record
// that has its payload itself.
func (k key) sound(r *Record) bool {
	return r.apart == 0 || checksum.Update(seedAt(k.salt, r.apart), r.Payload) == r.sum
}

// getSound is get that verifies the payload, too, and steps over no body.
func (k key) getSound(b []byte, off uint32, r *Record) (next uint32, ok bool) {
	next, ok = k.get(b, off, r)
	return next, ok && k.sound(r)
}

// costs returns how many bytes get looks at.
func (k key) costs(b []byte, off uint32) int {
	if f, ok := k.frame(b[off:], int64(len(b))-int64(off)); ok {
		return f.covered
	}
	return recordHead
}

func (k key) tooLong(length uint32) bool { return k.longest != 0 && length > k.longest }

// plausible is a quick check of bytes 16 to 23 of a record: the kind must be known.
func plausible(word uint64) bool {
	kind := Kind(word)
	return kind >= KindItem && kind <= kindApart
}
