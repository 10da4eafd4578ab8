package kestrel

// Finding the way back behind damage. An item that was added tells itself by its size and its times:
// nothing else in a journal does. What is passed over until the next one is at most operations that
// take away, and behind damage those are not applied anyway.

import (
	"bufio"
	"encoding/binary"
)

const (
	// Times in Unix ms that a Kestrel can have written, of the years 2004 to 2100. With the sizes
	// beside them, some sixty bits have to be as they are: no payload is like that by chance.
	timeFrom, timeTo = 1 << 40, 4_102_444_800_000

	headSize = 1 + 4 + 4 + stampSize // of the longest operation, without its payload

	// An old ADD has one time only, mostly 0. It takes so many, one behind another, to be believed.
	oldItems, oldOperations = 4, 64
)

// resync goes on at the first place behind the operation at d.at where an item was added that ends
// within the file. Without one it stays, and returns false.
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

// plausible reports whether an added item may begin with b, when so many bytes are left of the file.
func plausible(b []byte, left int64) bool {
	switch b[0] {
	case codeAdd:
		if len(b) < 1+4+4 {
			return false
		}
		size, expires := int32(binary.LittleEndian.Uint32(b[1:])), int64(int32(binary.LittleEndian.Uint32(b[5:])))*1000
		return size >= 4 && int64(size) <= left-5 && (expires == 0 || expires > timeFrom)
	case codeAddX:
		return plausibleItem(b[1:], left-1)
	case codeAddID, codeDumpOrContinue:
		return len(b) > 5 && plausibleItem(b[5:], left-5)
	}
	return false
}

func plausibleItem(b []byte, left int64) bool {
	if len(b) < 4+stampSize {
		return false
	}
	size := int32(binary.LittleEndian.Uint32(b))
	added, expires := int64(binary.LittleEndian.Uint64(b[4:])), int64(binary.LittleEndian.Uint64(b[12:]))
	return size >= stampSize && int64(size) <= left-4 && added > timeFrom && added < timeTo &&
		(expires == 0 || expires > timeFrom && expires < timeTo)
}

// chain reports whether enough old items follow one another, with nothing implausible in between.
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
