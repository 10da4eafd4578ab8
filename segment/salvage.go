package segment

// What can still be read when the way a segment is usually read is blocked: pages that the disk
// does not give, and a segment whose header is gone in all its copies.

import (
	"runtime/debug"

	"github.com/darner/darner/segment/checksum"
)

// unreadable is the step over what the disk does not give.
const unreadable = 4 << 10

// copyOut copies the file's first bytes, with zeros for the pages that cannot be read.
func (s *Segment) copyOut(size int64) []byte {
	b := make([]byte, size)
	for at := int64(0); at < size; at += unreadable {
		p := b[at:min(at+unreadable, size)]
		if n, _ := s.file.ReadAt(p, at); n < len(p) {
			clear(p)
		}
	}
	return b
}

// judge is Judge of the map, or, when pages of it cannot be read, of what can. The error says so.
func (s *Segment) judge(size int64, h Header) (v Verdict, err error) {
	if err = s.judgeMapped(size, h, &v); err != nil {
		v = Judge(s.copyOut(size), h)
	}
	return v, err
}

func (s *Segment) judgeMapped(size int64, h Header, v *Verdict) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	*v = Judge(s.mem[:size], h)
	return nil
}

// salvageHeader finds out from its records what the header of a segment said that counts: the salt.
// It takes three records in a row: the first one's checksum tells what it started from, and two
// more verify that.
func salvageHeader(b []byte, first uint64) (Header, bool) {
	for off := uint32(HeaderSize); int64(off)+recordHead <= int64(len(b)); off += Align {
		if le.Uint64(b[off+16:]) == 0 {
			off = uint32(skipZeros(b, int(off)+16)) - 16 - Align
			continue
		}
		length, ok := resembles(b, off, first)
		if !ok {
			continue
		}
		next := off + uint32(RecordSize(int(length)))
		if _, ok := resembles(b, next, le.Uint64(b[off+8:])+1); !ok {
			continue
		}
		k := key{salt: checksum.Start(le.Uint32(b[off:]), b[off+4:off+recordHead+length]) - off/Align, first: first}
		var r Record
		if next, ok = k.get(b, next, &r); !ok {
			continue
		}
		if _, ok = k.get(b, next, &r); ok {
			return Header{Salt: k.salt, First: first, ItemsBefore: first - 1, Capacity: max(int64(len(b))&^7, minCapacity)}, true
		}
	}
	return Header{}, false
}

// resembles is the part of key.get that needs no salt.
func resembles(b []byte, off uint32, first uint64) (length uint32, ok bool) {
	if int64(off)+recordHead > int64(len(b)) || !plausible(le.Uint64(b[off+16:])) || le.Uint64(b[off+8:]) < first {
		return 0, false
	}
	length = le.Uint32(b[off+4:])
	return length, int64(off)+RecordSize(int(length)) <= int64(len(b))
}
