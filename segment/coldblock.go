package segment

// A block of a cold file before it is compressed: the headers of its records as columns of
// differences, one column after another, then the payloads, each after the note of its record. So
// what is alike from record to record costs next to nothing.
//
// A column starts with a byte. After 0 comes one value, which all records have; after 1 comes a
// value for each record. Values are varints, low seven bits first.
//
//	sequence number   less the one before, less 1; the first is known, its value 0
//	kind              + 256 × flags + 65536 × consumer
//	client flags
//	length            of the payload
//	enqueued          less the one before, zigzag; the first less the header's created
//	expires           0 never; else the zigzag of expires - enqueued, plus 1 if that is below the
//	                  zigzag of -enqueued
//	due               0 at once; else as expires
//	note              its length, 0 none; the column is there if a record has flag 4
//
// Zigzag encodes 0, -1, 1, -2, ... as 0, 1, 2, 3, ... Differences are modulo 2^64.

import (
	"encoding/binary"
	"math"
	"sort"
	"sync/atomic"
)

// A block is full when the payloads and notes, plus headBytes for each record, reach blockBytes. A
// longer record is a block of its own.
const (
	blockBytes   = 128 << 10
	headBytes    = 16
	blockRecords = blockBytes / headBytes
)

// rawBound returns the most bytes that records can take in columns, given their number and the
// virtual bytes they take.
func rawBound(virtual, records uint32) int64 {
	const column = 1 + binary.MaxVarintLen64
	const n = int64(len(columns)) + 1
	return int64(virtual) + n*column + int64(records)*(n*binary.MaxVarintLen64-recordHead)
}

// coldRecord is a record of a block, without note and payload.
type coldRecord struct {
	seq                    uint64
	enqueued, expires, due int64
	off                    uint32 // virtual
	at                     uint32 // of the note, in the block's payloads; the payload follows
	length                 uint32 // of the payload
	clientFlags            uint32
	consumer               uint16
	note                   uint16 // its length
	kind                   Kind
	flags                  uint8
}

// coldBlock is a block that can be read from, or is being filled.
type coldBlock struct {
	records  []coldRecord
	payloads []byte // with the notes
	from, to uint32 // virtual

	recent atomic.Uint32 // the record read last; most likely the one after it comes next
}

// reset empties the block and lets it start at a virtual offset.
func (b *coldBlock) reset(from uint32) {
	b.records, b.payloads = b.records[:0], b.payloads[:0]
	b.from, b.to = from, from
}

func (b *coldBlock) add(r *Record) {
	b.records = append(b.records, coldRecord{
		seq: r.Seq, enqueued: r.Enqueued, expires: r.Expires, due: r.Due,
		off: b.to, at: uint32(len(b.payloads)), length: uint32(len(r.Payload)),
		clientFlags: r.ClientFlags, consumer: r.Consumer, note: uint16(len(r.Note)),
		kind: r.Kind, flags: r.Flags &^ ownFlags,
	})
	b.payloads = append(append(b.payloads, r.Note...), r.Payload...)
	b.to += uint32(virtualSize(r))
}

// virtualSize returns how many virtual offsets a record takes, whatever it takes in a segment.
func virtualSize(r *Record) int64 {
	return align(recordHead + r.front() + int64(len(r.Payload)))
}

// virtualSize is that of the record.
func (c *coldRecord) virtualSize() int64 {
	n := recordHead + int64(c.length)
	if c.due != 0 {
		n += dueSize
	}
	if c.note > 0 {
		n += noteHead + int64(c.note)
	}
	return align(n)
}

// record fills r with the i-th record.
func (b *coldBlock) record(i int, r *Record) (next uint32) {
	c := &b.records[i]
	at := c.at + uint32(c.note)
	end := at + c.length
	*r = Record{
		off: c.off,
		Seq: c.seq, Kind: c.kind, Flags: c.flags, ClientFlags: c.clientFlags,
		Enqueued: c.enqueued, Expires: c.expires, Due: c.due, Consumer: c.consumer,
		Payload: b.payloads[at:end:end], Note: b.payloads[c.at:at:at],
	}
	if i+1 < len(b.records) {
		return b.records[i+1].off
	}
	return b.to
}

// at returns the first record at or after a virtual offset, or len(b.records) if there is none.
func (b *coldBlock) at(off uint32) int {
	for i := int(b.recent.Load()); i < min(len(b.records), int(b.recent.Load())+2); i++ {
		if b.records[i].off == off {
			b.recent.Store(uint32(i))
			return i
		}
	}
	i := sort.Search(len(b.records), func(i int) bool { return b.records[i].off >= off })
	b.recent.Store(uint32(i))
	return i
}

// find returns the first record with at least that sequence number, or len(b.records).
func (b *coldBlock) find(seq uint64) int {
	return sort.Search(len(b.records), func(i int) bool { return b.records[i].seq >= seq })
}

// column says how a record's value in one of the columns follows from it and the record before.
type column struct {
	get func(r, before *coldRecord) uint64
	set func(r, before *coldRecord, v uint64) bool
}

var columns = [...]column{
	{
		func(r, before *coldRecord) uint64 { return r.seq - before.seq - 1 },
		func(r, before *coldRecord, v uint64) bool {
			r.seq = before.seq + 1 + v
			return true
		},
	}, {
		func(r, _ *coldRecord) uint64 {
			flags := r.flags
			if r.note > 0 {
				flags |= flagNote
			}
			return uint64(r.kind) | uint64(flags)<<8 | uint64(r.consumer)<<16
		},
		func(r, _ *coldRecord, v uint64) bool {
			r.kind, r.flags, r.consumer = Kind(v), uint8(v>>8)&^ownFlags, uint16(v>>16)
			if v>>8&flagNote != 0 {
				r.note = 1 // at least: the last column says how many
			}
			return v <= math.MaxUint32 && (r.kind == KindItem || r.kind == KindLarge)
		},
	}, {
		func(r, _ *coldRecord) uint64 { return uint64(r.clientFlags) },
		func(r, _ *coldRecord, v uint64) bool {
			r.clientFlags = uint32(v)
			return v <= math.MaxUint32
		},
	}, {
		func(r, _ *coldRecord) uint64 { return uint64(r.length) },
		func(r, _ *coldRecord, v uint64) bool {
			r.length = uint32(v)
			return v <= MaxCapacity
		},
	}, {
		func(r, before *coldRecord) uint64 { return zigzag(r.enqueued - before.enqueued) },
		func(r, before *coldRecord, v uint64) bool {
			r.enqueued = before.enqueued + unzigzag(v)
			return true
		},
	}, {
		func(r, _ *coldRecord) uint64 { return afterEnqueued(r.expires, r.enqueued) },
		func(r, _ *coldRecord, v uint64) bool {
			r.expires = sinceEnqueued(v, r.enqueued)
			return true
		},
	}, {
		func(r, _ *coldRecord) uint64 { return afterEnqueued(r.due, r.enqueued) },
		func(r, _ *coldRecord, v uint64) bool {
			r.due = sinceEnqueued(v, r.enqueued)
			return true
		},
	},
}

// noteColumn is there if a record has a note.
var noteColumn = column{
	func(r, _ *coldRecord) uint64 { return uint64(r.note) },
	func(r, _ *coldRecord, v uint64) bool {
		flagged := r.note > 0
		r.note = uint16(v)
		return v <= MaxNote && (v > 0) == flagged
	},
}

// noted reports whether one of the records has a note.
func noted(records []coldRecord) bool {
	for i := range records {
		if records[i].note > 0 {
			return true
		}
	}
	return false
}

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// afterEnqueued puts the value that stands for none first and keeps the others in their order.
func afterEnqueued(t, enqueued int64) uint64 {
	v, none := zigzag(t-enqueued), zigzag(-enqueued)
	switch {
	case v == none:
		return 0
	case v < none:
		return v + 1
	}
	return v
}

// sinceEnqueued is the inverse of afterEnqueued.
func sinceEnqueued(v uint64, enqueued int64) int64 {
	switch none := zigzag(-enqueued); {
	case v == 0:
		return 0
	case v <= none:
		v--
	}
	return unzigzag(v) + enqueued
}

// before is the record that the first record's differences are relative to.
func before(first uint64, created int64) *coldRecord {
	return &coldRecord{seq: first - 1, enqueued: created}
}

// encode appends the block as it is before compression. The block is not empty.
func (b *coldBlock) encode(dst []byte, created int64) []byte {
	start := before(b.records[0].seq, created)
	for i := range columns {
		dst = columns[i].encode(dst, b.records, start)
	}
	if noted(b.records) {
		dst = noteColumn.encode(dst, b.records, start)
	}
	return append(dst, b.payloads...)
}

func (c *column) encode(dst []byte, records []coldRecord, start *coldRecord) []byte {
	head, value, same := len(dst), c.get(&records[0], start), true
	dst = append(dst, 1)
	for i, last := 0, start; i < len(records); i++ {
		v := c.get(&records[i], last)
		same = same && v == value
		dst = binary.AppendUvarint(dst, v)
		last = &records[i]
	}
	if same {
		dst = binary.AppendUvarint(append(dst[:head], 0), value)
	}
	return dst
}

// decodeBlock reads a block as it was before compression. It is false if its records do not match
// the entry. The block keeps raw.
func decodeBlock(raw []byte, e *entry, created int64) (*coldBlock, bool) {
	b := &coldBlock{records: make([]coldRecord, e.records), from: e.from, to: e.to}
	start, ok := before(e.first, created), true
	for i := range columns {
		if raw, ok = columns[i].decode(raw, b.records, start); !ok {
			return nil, false
		}
	}
	if noted(b.records) {
		if raw, ok = noteColumn.decode(raw, b.records, start); !ok {
			return nil, false
		}
	}
	b.payloads = raw
	return b, b.layOut()
}

func (c *column) decode(raw []byte, records []coldRecord, start *coldRecord) ([]byte, bool) {
	if len(raw) == 0 || raw[0] > 1 {
		return nil, false
	}
	each := raw[0] == 1
	raw = raw[1:]
	var v uint64
	for i, last := 0, start; i < len(records); i++ {
		if i == 0 || each {
			var n int
			if v, n = binary.Uvarint(raw); n <= 0 {
				return nil, false
			}
			raw = raw[n:]
		}
		if !c.set(&records[i], last, v) {
			return nil, false
		}
		last = &records[i]
	}
	return raw, true
}

// layOut sets the offsets of the records and their payloads. It is false if they do not fill the
// block exactly, or if their numbers do not rise.
func (b *coldBlock) layOut() bool {
	off, at := int64(b.from), int64(0)
	for i := range b.records {
		r := &b.records[i]
		r.off, r.at = uint32(off), uint32(at)
		off += r.virtualSize()
		at += int64(r.note) + int64(r.length)
		if off > int64(b.to) || at > int64(len(b.payloads)) ||
			i > 0 && r.seq <= b.records[i-1].seq {
			return false
		}
	}
	return off == int64(b.to) && at == int64(len(b.payloads))
}
