package wal

// Reading files that lost their headers. All that is needed of a header to verify what stands behind
// it is the salt, and a CRC can be run backwards: what a checksum started from follows from the
// checksum and the bytes. A salt on which two places agree is the right one.

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime/debug"

	"github.com/darner/darner/segment"
)

// uncrc returns what a CRC-32C over b must have started from to end in sum.
func uncrc(sum uint32, b []byte) uint32 {
	c := ^sum
	for i := len(b) - 1; i >= 0; i-- {
		n := crcBack[c>>24]
		c = (c^crcTable[n])<<8 | uint32(n^b[i])
	}
	return ^c
}

// crcBack finds an entry of the CRC's table by its highest byte.
var crcBack = func() (back [256]byte) {
	for i, x := range crcTable {
		back[x>>24] = byte(i)
	}
	return back
}()

// Salvage opens a segment that lost all copies of its header, by what its records tell. It takes the
// first number from the file's name; what came before it in the log is not known. It is
// [segment.ErrHeaderLost] when no two records agree.
func (in *Inspection) Salvage(f FileInfo) (v *SegmentView, err error) {
	v = &SegmentView{path: in.Path(f)}
	if f.Size <= segment.HeaderSize || f.Size > segment.MaxCapacity {
		return nil, fmt.Errorf("%s: %w", v.path, segment.ErrHeaderLost)
	}
	if v.b, v.unmap, err = mapWhole(in.fs, v.path, f.Size); err == nil {
		err = v.judgeHeadless(f.Number)
	}
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

func (v *SegmentView) judgeHeadless(first uint64) (err error) {
	defer segment.Guard(v.path, debug.SetPanicOnFault(true), &err)
	salt, ok := findSalt(v.b, first)
	if !ok {
		return fmt.Errorf("%s: %w", v.path, segment.ErrHeaderLost)
	}
	size := int64(len(v.b))
	capacity := min(segment.MaxCapacity, max(MinSegmentSize, (size+size/256+segment.HeaderSize)&^7)) // takes all of it
	v.header = segment.Header{Salt: salt, First: first, Capacity: capacity}
	verdict := segment.Judge(v.b, v.header)
	v.Found, v.totals, v.tail = verdict.Damage, verdict.Totals, verdict.Tail
	return nil
}

// salvagedSteps is Steps. A page that cannot be read ends it.
func (v *SegmentView) salvagedSteps(yield func(*Step) bool) {
	step, going := new(Step), true
	if err := v.scan(step, yield, &going); err != nil && going {
		*step = Step{From: step.To, To: v.tail, Err: err}
		yield(step)
	}
}

func (v *SegmentView) scan(step *Step, yield func(*Step) bool, going *bool) (err error) {
	defer segment.Guard(v.path, debug.SetPanicOnFault(true), &err)
	for span, r := range segment.Scan(v.b[:v.tail], v.header) {
		*step = Step{From: span.From, To: span.To, Err: segment.ErrDamaged}
		if r != nil {
			step.Err, step.Record = nil, *r
		}
		if *going = yield(step); !*going {
			return nil
		}
	}
	return nil
}

// Bounds on looking for a salt, so that a file made to be slow is given up.
const (
	saltTries = 4096
	saltBytes = 256 << 20
)

// findSalt looks for a record that verifies with the salt of the one before it.
func findSalt(b []byte, first uint64) (salt uint32, ok bool) {
	tries, bytes := saltTries, saltBytes
	for off := segment.HeaderSize; tries > 0 && bytes > 0; off += segment.Align {
		end, seq, ok := likeRecord(b, off, first)
		if !ok {
			if off >= len(b) {
				break
			}
			continue
		}
		next := (end + segment.Align - 1) &^ (segment.Align - 1)
		nextEnd, _, ok := likeRecord(b, next, seq+1)
		if !ok {
			continue
		}
		tries--
		bytes -= nextEnd - off
		salt := uncrc(binary.LittleEndian.Uint32(b[off:]), b[off+4:end]) - uint32(off/segment.Align)
		if crc32.Update(salt+uint32(next/segment.Align), crcTable, b[next+4:nextEnd]) == binary.LittleEndian.Uint32(b[next:]) {
			return salt, true
		}
	}
	return 0, false
}

// likeRecord reports whether what stands at off may be a record, but for its checksum, of a number of
// at least first, and where its payload ends.
func likeRecord(b []byte, off int, first uint64) (end int, seq uint64, ok bool) {
	const head = 40
	if off+head > len(b) {
		return 0, 0, false
	}
	b = b[off:]
	kind := segment.Kind(b[16])
	seq = binary.LittleEndian.Uint64(b[8:])
	length := binary.LittleEndian.Uint32(b[4:])
	ok = (kind == segment.KindItem || kind == segment.KindLarge) && b[18]|b[19] == 0 &&
		seq >= first && seq-first < segment.MaxCapacity && int64(length) <= int64(len(b)-head)
	return off + head + int(length), seq, ok
}

// salvage finds the salt of an offset file without a sound slot: one on which two entries agree, or
// that of a single checkpoint, of which the kind and a number are known.
func (o *offsets) salvage() bool {
	seen := make(map[uint32]bool)
	for at := entriesAt; at+entrySize <= o.allocated && len(seen) < saltTries; at += entrySize {
		b := o.m[at:][:entrySize]
		kind := binary.LittleEndian.Uint32(b[4:])
		if kind != entryHead && kind != entryRange {
			continue
		}
		salt := uncrc(binary.LittleEndian.Uint32(b), b[4:]) - uint32(at/8)
		if seen[salt] || kind == entryHead && isZero(b[8:16]) {
			o.salt = salt
			return true
		}
		seen[salt] = true
	}
	return false
}
