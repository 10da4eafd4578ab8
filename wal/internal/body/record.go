package body

import (
	"encoding/binary"

	"github.com/darner/darner/segment"
)

// RecordSize is how long the payload of a large item's record is: the size of its body and the number of its upload.
const RecordSize = 16

// EncodeRecord writes that payload.
func EncodeRecord(size int64, upload uint64) (payload [RecordSize]byte) {
	binary.LittleEndian.PutUint64(payload[:], uint64(size))
	binary.LittleEndian.PutUint64(payload[8:], upload)
	return payload
}

// Record tells what the record of a large item says: the size of the body in bytes, and the number of its
// upload. ok is false when it is no such record.
func Record(r *segment.Record) (size int64, upload uint64, ok bool) {
	if r.Kind != segment.KindLarge || len(r.Payload) != RecordSize {
		return 0, 0, false
	}
	return int64(binary.LittleEndian.Uint64(r.Payload)), binary.LittleEndian.Uint64(r.Payload[8:]), true
}

// ItemSize is what an item counts for, in bytes: a large one its body.
func ItemSize(r *segment.Record) int64 {
	if size, _, ok := Record(r); ok {
		return size
	}
	return int64(len(r.Payload))
}
