package body

import (
	"encoding/binary"

	"github.com/darner/darner/segment"
)

// RecordSize is the length in bytes of the payload of a large item's record: the size of its body
// and the number of its upload.
const RecordSize = 16

// EncodeRecord returns that payload.
func EncodeRecord(size int64, upload uint64) (payload [RecordSize]byte) {
	binary.LittleEndian.PutUint64(payload[:], uint64(size))
	binary.LittleEndian.PutUint64(payload[8:], upload)
	return payload
}

// Record reads the record of a large item: the size of the body in bytes, and the number of its
// upload. ok is false if it is not such a record.
func Record(r *segment.Record) (size int64, upload uint64, ok bool) {
	if r.Kind != segment.KindLarge || len(r.Payload) != RecordSize {
		return 0, 0, false
	}
	size = int64(binary.LittleEndian.Uint64(r.Payload))
	return size, binary.LittleEndian.Uint64(r.Payload[8:]), true
}

// ItemSize returns the bytes that an item counts for: those of its body, if it is large.
func ItemSize(r *segment.Record) int64 {
	if size, _, ok := Record(r); ok {
		return size
	}
	return int64(len(r.Payload))
}
