package segment

// What can still be read where the usual way fails: of a file with pages that the disk does not
// return, and of a segment that lost all copies of its header.

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
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
// That takes three records or bodies in a row, which it looks for from an offset on: the checksum
// of the first one tells what value it started from, and two more confirm that.
func salvageHeader(b []byte, from uint32, first uint64) (Header, bool) {
	k := key{first: first, least: first}
	for off := from; int64(off)+recordHead <= int64(len(b)); off += Align {
		if le.Uint64(b[off+16:]) == 0 {
			off = uint32(blank.Skip(b, int(off)+16)) - 16 - Align
			continue
		}
		c := b[off:]
		f, ok := k.frame(c, int64(len(c)))
		if !ok || !k.follows(b, off+uint32(f.size)) {
			continue
		}
		start := checksum.Start(le.Uint64(c), c[8:f.covered])
		n := off / Align
		k.salt = uint64(uint32(start>>32)-n)<<32 | uint64(uint32(start)-n)
		var r Record
		next := off
		for range 3 {
			if ok {
				next, ok = k.getSound(b, next, &r)
			}
		}
		if ok && k.salt != 0 {
			return Header{
				Salt: k.salt, First: first, ItemsBefore: first - 1,
				Capacity: max(int64(len(b))&^7, minCapacity), DueBefore: NotKnown, Expiring: true,
			}, true
		}
	}
	return Header{}, false
}

// follows reports whether a record or body may be at off: the part of get that needs no salt.
func (k key) follows(b []byte, off uint32) bool {
	if int64(off)+recordHead > int64(len(b)) {
		return false
	}
	_, ok := k.frame(b[off:], int64(len(b))-int64(off))
	return ok
}

// HeaderIsSure reports whether a header that Open made up is that of all records in the file: none
// after them are of another one.
func (s *Segment) HeaderIsSure() bool { return s.sureHead }

// Rehead gives a file on stable storage the header that it lost, as [Open] made it up. It returns
// what was in its place.
func Rehead(fsys disk.FS, path string, h Header) (was []byte, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	was = make([]byte, HeaderSize)
	if n, _ := f.ReadAt(was, 0); n < len(was) {
		clear(was[n:]) // the disk does not return it
	}
	b := h.encode()
	for _, at := range []int64{headerCopy, 0} {
		if _, err = f.WriteAt(b[:], at); err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("segment %s: cannot write the header: %w", path, err)
	}
	return was, nil
}
