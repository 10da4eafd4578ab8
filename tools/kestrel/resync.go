package kestrel

// Resynchronising after damage. An added item is recognised by its size and its times; nothing else
// in a journal can be. At worst, the operations skipped before it remove something, and after
// damage those are not applied anyway.

import (
	"bufio"
	"encoding/binary"
)

const (
	// Times in Unix ms that a Kestrel can have written: the years 2004 to 2100. Together with the
	// size, some sixty bits must match, which does not happen by chance in a payload.
	timeFrom, timeTo = 1 << 40, 4_102_444_800_000

	headSize = 1 + 4 + 4 + stampSize // bytes of the longest operation, without its payload

	// An ADD has only one time, which is mostly 0. So oldItems of them must come within
	// oldOperations operations.
	oldItems, oldOperations = 4, 64
)

// resync moves on to the first added item after the operation at d.at that ends within the file. If
// there is none, it does not move and returns false.
func (d *decoder) resync() (bool, error) {
	buf := make([]byte, bufferSize)
	for base := d.at + 1; base < d.size; base += int64(len(buf) - headSize) {
		n := int(min(int64(len(buf)), d.size-base))
		if _, err := d.src.ReadAt(buf[:n], base); err != nil {
			return false, err
		}
		for i := range n {
			at := base + int64(i)
			if plausible(buf[i:n], d.size-at) && (buf[i] != codeAdd || d.chain(at)) {
				d.dumped = 0
				return true, d.seek(at)
			}
		}
	}
	return false, nil
}

// plausible reports whether b may be the beginning of an added item, with left bytes left in the
// file.
func plausible(b []byte, left int64) bool {
	switch b[0] {
	case codeAdd:
		if len(b) < 1+4+4 {
			return false
		}
		size := int32(binary.LittleEndian.Uint32(b[1:]))
		expires := int64(int32(binary.LittleEndian.Uint32(b[5:]))) * 1000
		return size >= 4 && int64(size) <= left-5 && (expires == 0 || expires > timeFrom)
	case codeAddX:
		return plausibleItem(b[1:], left-1)
	case codeAddID, codeDumpOrContinue:
		return len(b) > 5 && plausibleItem(b[5:], left-5)
	}
	return false
}

// plausibleItem is plausible for an item's size and times.
func plausibleItem(b []byte, left int64) bool {
	if len(b) < 4+stampSize {
		return false
	}
	size := int32(binary.LittleEndian.Uint32(b))
	added := int64(binary.LittleEndian.Uint64(b[4:]))
	expires := int64(binary.LittleEndian.Uint64(b[12:]))
	return size >= stampSize && int64(size) <= left-4 && added > timeFrom && added < timeTo &&
		(expires == 0 || expires > timeFrom && expires < timeTo)
}

// chain reports whether enough old items follow, with only valid operations in between.
func (d *decoder) chain(at int64) bool {
	c := &decoder{r: bufio.NewReaderSize(d.src, 256), src: d.src, size: d.size}
	if c.seek(at) != nil {
		return false
	}
	items := 0
	for range oldOperations {
		o, err := c.next()
		if err != nil {
			return false
		}
		if o.kind == add {
			items++
		}
		if items == oldItems {
			return true
		}
	}
	return false
}
