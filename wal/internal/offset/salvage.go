package offset

// Reading offset files that lost both slots. Only the salt is needed to verify the entries, and a
// CRC can be run backwards: the value that a checksum started from follows from the checksum and
// the bytes.

import (
	"encoding/binary"

	"github.com/darner/darner/segment/checksum"
)

// saltTries bounds the search, so that a malicious file cannot make it slow.
const saltTries = 4096

// salvage finds the salt of an offset file without a sound slot: one on which two entries agree, or
// else that of a single plausible checkpoint, whose kind is right and whose numbers are not huge.
func (o *File) salvage() bool {
	seen := make(map[uint64]bool)
	alone, any := uint64(0), false
	for at := entriesAt; at+entrySize <= o.allocated && len(seen) < saltTries; at += entrySize {
		b := o.m[at:][:entrySize]
		if k := kind(b[31]); k == none || k > deliveries {
			continue
		}
		start := checksum.Start(binary.LittleEndian.Uint64(b), b[8:])
		salt := checksum.Seed(start, -uint32(at/8))
		if seen[salt] {
			o.salt = salt
			return true
		}
		seen[salt] = true
		if kind(b[31]) == checkpoint && b[14]|b[15]|b[22]|b[23]|b[29]|b[30] == 0 {
			alone, any = salt, true
		}
	}
	o.salt = alone
	return any
}
