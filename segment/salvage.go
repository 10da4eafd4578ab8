package segment

// What can still be read where the usual way fails: of a file with pages that the disk does not
// return, and of a segment that lost all copies of its header.

import (
	"runtime/debug"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
)

// unreadable is the size in bytes of the step over what the disk does not return.
const unreadable = 4 << 10

// copyOut copies the first bytes of the file, with zeros for pages that cannot be read.
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

// judge judges the map or, if pages of it cannot be read, the rest. The error then says so.
func (s *Segment) judge(size int64, h Header) (v Verdict, err error) {
	if err = s.judgeMapped(size, h, &v); err != nil {
		v = judge(s.copyOut(size), h)
	}
	return v, err
}

func (s *Segment) judgeMapped(size int64, h Header, v *Verdict) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	*v = judge(s.mem[:size], h)
	return nil
}

// salvageHeader finds the salt, the one part of a lost header that is needed, from the records.
// That takes three records in a row: the checksum of the first one tells what value it started
// from, and two more confirm that.
func salvageHeader(b []byte, first uint64) (Header, bool) {
	for off := uint32(HeaderSize); int64(off)+recordHead <= int64(len(b)); off += Align {
		if le.Uint64(b[off+16:]) == 0 {
			off = uint32(blank.Skip(b, int(off)+16)) - 16 - Align
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
		k := key{first: first}
		k.salt = checksum.Start32(le.Uint32(b[off:]), b[off+4:off+recordHead+length]) - off/Align
		var r Record
		if next, ok = k.get(b, next, &r); !ok {
			continue
		}
		if _, ok = k.get(b, next, &r); ok {
			return Header{
				Salt: k.salt, First: first, ItemsBefore: first - 1,
				Capacity: max(int64(len(b))&^7, minCapacity),
			}, true
		}
	}
	return Header{}, false
}

// resembles is the part of key.get that does not need the salt.
func resembles(b []byte, off uint32, first uint64) (length uint32, ok bool) {
	if int64(off)+recordHead > int64(len(b)) ||
		!plausible(le.Uint64(b[off+16:])) || le.Uint64(b[off+8:]) < first {
		return 0, false
	}
	length = le.Uint32(b[off+4:])
	return length, int64(off)+RecordSize(int(length)) <= int64(len(b))
}
