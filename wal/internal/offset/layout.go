package offset

// The bytes of an offset file. What does not verify because of one flipped bit is read as it was.

import (
	"encoding/binary"
	"math/bits"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
)

// An offset file keeps what one consumer has taken. Integers are little-endian.
//
//	   0  slot A   the head; slots A and B are rewritten in place in turn, each in its own sector,
//	 512  slot B   so that a kill or a torn sector in the middle of one leaves the other
//	1024  entries, 32 bytes each, appended: a checkpoint of the head at every sync, a range for
//	      every item taken out of order, and how often an item was delivered, where somebody notes
//	      that. At the end there are at most two checkpoints, written in turn. So taking in order
//	      stays within one block, and a sync writes no other.
//
// So taking in order costs one store and no space; only items taken out of order append. What is
// taken only grows. So a lost entry makes items come again and never loses an item, and any two
// versions of the file may be united.
//
// The file is also evidence. When a sync is over, a slot says how many entries are on stable
// storage, and a checkpoint up to which number the log's items are. If there is less than that, it
// was cut off, damaged or restored from an older copy. It was not lost in a crash.
const (
	slotSpacing = 512
	slotSize    = 72
	entriesAt   = 2 * slotSpacing
	entrySize   = 32

	magic        = "DARNOFF\x00"
	version      = 2
	versionPlace = 8

	// FirstStep is the size of a new file in bytes: one block.
	FirstStep = 4 << 10

	// maxFile is larger than any offset file gets.
	maxFile = 1 << 30
)

// slot is the head, and what belongs to the whole file:
//
//	 0  magic       "DARNOFF\x00"
//	 8  version     uint32
//	12  kept        uint32   entries that were on stable storage after a sync
//	16  salt        uint64
//	24  generation  uint64   counts writes of slots; the slot with the higher number counts
//	32  head        uint64   everything below is taken
//	40  bytes       uint64   of all items below the head
//	48  created     int64    Unix ms
//	56  log         uint64   identity of the log, 0 = not known
//	64  checksum    uint64   over bytes 0 to 63
type slot struct {
	kept        uint32
	salt        uint64
	generation  uint64
	head, below uint64
	created     int64
	log         uint64
}

func (s *slot) encode(b []byte) {
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[versionPlace:], version)
	binary.LittleEndian.PutUint32(b[12:], s.kept)
	binary.LittleEndian.PutUint64(b[16:], s.salt)
	binary.LittleEndian.PutUint64(b[24:], s.generation)
	binary.LittleEndian.PutUint64(b[32:], s.head)
	binary.LittleEndian.PutUint64(b[40:], s.below)
	binary.LittleEndian.PutUint64(b[48:], uint64(s.created))
	binary.LittleEndian.PutUint64(b[56:], s.log)
	binary.LittleEndian.PutUint64(b[64:], checksum.Of(b[:64]))
}

func (s *slot) decode(b []byte) {
	*s = slot{
		kept:       binary.LittleEndian.Uint32(b[12:]),
		salt:       binary.LittleEndian.Uint64(b[16:]),
		generation: binary.LittleEndian.Uint64(b[24:]),
		head:       binary.LittleEndian.Uint64(b[32:]),
		below:      binary.LittleEndian.Uint64(b[40:]),
		created:    int64(binary.LittleEndian.Uint64(b[48:])),
		log:        binary.LittleEndian.Uint64(b[56:]),
	}
}

// kind is what an entry says.
type kind uint8

const (
	none       kind = iota // nothing: no entry was written there
	checkpoint             // everything below To is taken, and is Bytes in all
	taken                  // the numbers From..To are taken
	deliveries             // the item From was delivered To times, or more often
)

// Entry is an entry of an offset file:
//
//	 0  checksum  uint64   over bytes 8 to 31, seeded with salt and place
//	 8  from      uint64   in a checkpoint: all items of the log below were on stable storage
//	16  to        uint64
//	24  bytes     56 bits
//	31  kind      uint8
type Entry struct {
	kind kind
	Span
}

const mostBytes = 1<<56 - 1

// Range returns the entry for items taken out of order.
func Range(x Span) Entry { return Entry{taken, x} }

// Delivered returns the entry that notes how often an item was delivered.
func Delivered(seq uint64, n uint32) Entry {
	return Entry{deliveries, Span{From: seq, To: uint64(n)}}
}

func (e *Entry) encode(b []byte, seed uint64) {
	binary.LittleEndian.PutUint64(b[8:], e.From)
	binary.LittleEndian.PutUint64(b[16:], e.To)
	binary.LittleEndian.PutUint64(b[24:], min(e.Bytes, mostBytes)|uint64(e.kind)<<56)
	binary.LittleEndian.PutUint64(b, checksum.Update(seed, b[8:entrySize]))
}

func (e *Entry) decode(b []byte) {
	e.From = binary.LittleEndian.Uint64(b[8:])
	e.To = binary.LittleEndian.Uint64(b[16:])
	e.Bytes = binary.LittleEndian.Uint64(b[24:]) & mostBytes
	e.kind = kind(b[31])
}

// flip is a byte with a flipped bit.
type flip struct {
	at  int  // in the file
	was byte // before
}

// state is how a place of the file verifies.
type state uint8

const (
	broken state = iota // it does not
	mended              // it does but for one flipped bit, and is read as it was
	sound
)

// readSlot reads the slot at an offset of the file b. Of a slot of another format version, the
// error is segment.ErrVersion.
func readSlot(b []byte, at int) (s slot, is state, f flip, err error) {
	c := [slotSize]byte(b[at:])
	is = sound
	if checksum.Of(c[:64]) != binary.LittleEndian.Uint64(c[64:]) {
		i, ok := checksum.Mend(0, c[64:], c[:64])
		if !ok || string(c[:8]) != magic {
			return s, broken, f, ofVersion1(c[:])
		}
		is, f = mended, flip{at + i, c[i]}
	}
	if string(c[:8]) != magic {
		return s, broken, f, nil
	}
	if v := binary.LittleEndian.Uint32(c[versionPlace:]); v != version {
		return s, broken, f, segment.OtherVersion(v)
	}
	s.decode(c[:])
	return s, is, f, nil
}

// ofVersion1 is an error if a slot is one of version 1, whose checksum is elsewhere.
func ofVersion1(slot []byte) error {
	v := binary.LittleEndian.Uint32(slot[versionPlace:])
	if v == 1 && string(slot[:8]) == magic {
		return segment.OtherVersion(v)
	}
	return nil
}

// mostTries bounds how many entries that do not verify are searched for a flipped bit, so that a
// file of noise takes no longer to read than others.
const mostTries = 1 << 16

// entry reads the entry at an offset. Its kind is none, and it is mended, where a flipped bit is
// all that stands there.
func (o *File) entry(at int) (e Entry, is state, f flip) {
	c := [entrySize]byte(o.m[at:])
	if blank.Bytes(c[:]) {
		return e, broken, f
	}
	is = sound
	seed := checksum.Seed(o.salt, uint32(at/8))
	if checksum.Update(seed, c[8:]) != binary.LittleEndian.Uint64(c[:]) {
		if i, ok := onlyBit(c[:]); ok {
			return e, mended, flip{at + i, 0}
		}
		if o.tries++; o.tries > mostTries {
			return e, broken, f
		}
		i, ok := checksum.Mend(seed, c[:8], c[8:])
		if !ok {
			return e, broken, f
		}
		i = (i + 8) % entrySize // the checksum comes first
		is, f = mended, flip{at + i, c[i]}
	}
	e.decode(c[:])
	return e, is, f
}

// onlyBit returns the byte that holds the only bit of b that is set.
func onlyBit(b []byte) (at int, ok bool) {
	n := 0
	for i, c := range b {
		if c != 0 {
			at, n = i, n+bits.OnesCount8(c)
		}
	}
	return at, n == 1
}
