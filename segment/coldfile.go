package segment

// Reading a cold file: its header and directory, and its blocks. One flipped bit of any of them is
// mended in memory. Of other damage, another copy or the block's group tells what stood there.

import (
	"errors"
	"io"
	"math"
	"syscall"

	"github.com/darner/darner/segment/disk"
)

// coldFile is an open cold file, for [Segment] and [Scrub].
type coldFile struct {
	file    disk.File
	h       coldHeader
	entries []entry
}

// fetch reads len(b) bytes at off. Bytes after the file's end, and bytes that the disk does not
// return, become zeros; then whole is false. Any other failure is not damage.
func (f *coldFile) fetch(b []byte, off int64) (whole bool, err error) {
	n, err := f.file.ReadAt(b, off)
	switch {
	case n == len(b):
		return true, nil
	case err == nil, err == io.EOF:
		clear(b[n:])
		return false, nil
	case errors.Is(err, syscall.EIO):
		clear(b)
		return false, nil
	}
	return false, err
}

// readColdHeader looks for the header of a cold file in head, its first [HeaderSize] bytes, and at
// its end. damaged is the number of copies that are not as they were written. If nothing looks like
// a copy, the error is [ErrNotSegment].
func (f *coldFile) readColdHeader(head []byte) (damaged int, err error) {
	size, err := f.file.Size()
	if err != nil {
		return 0, err
	}
	end := make([]byte, coldHeaderLen)
	if err := f.fetchPages(end, max(size-coldHeaderLen, 0)); err != nil {
		return 0, err
	}
	looks, found, err := false, false, ErrHeaderLost
	for i, c := range [...][]byte{head, head[min(len(head), headerCopy):], end} {
		var one coldHeader
		switch flipped, e := one.decode(c); {
		case errors.Is(e, ErrVersion):
			err = e
			damaged++
		case e != nil, one.directoryLen() > size, i == 2 && int64(one.size) != size:
			looks = looks || i < 2 && looksCold(c) // the end may belong to a payload
			damaged++
		default:
			if flipped {
				damaged++
			}
			if !found {
				f.h, found = one, true
			}
		}
	}
	switch {
	case found:
		return damaged, nil
	case err == ErrHeaderLost && !looks:
		err = ErrNotSegment
	}
	return damaged, err
}

// readDirectory reads the directory. It takes entries that are damaged from the second copy.
// damaged is how many entries of the first copy are not as they were written.
func (f *coldFile) readDirectory() (damaged int, err error) {
	n := f.h.directoryLen()
	f.entries = make([]entry, f.h.entries())
	b := make([]byte, n)
	var second []byte
	if err := f.fetchPages(b, HeaderSize); err != nil {
		return 0, err
	}
	for i := range f.entries {
		e := &f.entries[i]
		flipped, ok := e.decode(b[i*coldEntry:], &f.h, i)
		if ok && !flipped {
			continue
		}
		damaged++
		if ok {
			continue
		}
		if second == nil {
			second = make([]byte, n)
			if err := f.fetchPages(second, int64(f.h.directory)); err != nil {
				return 0, err
			}
		}
		if _, ok := e.decode(second[i*coldEntry:], &f.h, i); !ok {
			*e = entry{lost: true}
		}
	}
	f.fillIn()
	return damaged, nil
}

// fetchPages is fetch, but if the disk does not return all bytes it reads those that it does
// return.
func (f *coldFile) fetchPages(b []byte, off int64) error {
	if whole, err := f.fetch(b, off); whole || err != nil {
		return err
	}
	for at := int64(0); at < int64(len(b)); {
		end := min((off+at)&^(sector-1)+sector-off, int64(len(b)))
		if _, err := f.fetch(b[at:end], off+at); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// sector is the smallest unit that a disk loses, in bytes.
const sector = 512

// fillIn gives lost data blocks the range that their neighbours leave, so that the blocks are in
// order and without gaps. An entry that contradicts those before it is lost, too.
func (f *coldFile) fillIn() {
	to, first := uint32(HeaderSize), f.h.First
	for i := range f.blocks() {
		e := f.block(i)
		if e.lost || e.from < to || e.first < first {
			*e = entry{lost: true}
			continue
		}
		to, first = e.to, e.first+1
	}
	from, first := f.h.end, uint64(math.MaxUint64)
	for i := f.blocks() - 1; i >= 0; i-- {
		e := f.block(i)
		if e.lost {
			e.from, e.to, e.first = HeaderSize, from, first
			if i > 0 && !f.block(i-1).lost {
				e.from = f.block(i - 1).to
			} else if i > 0 {
				e.from = from // of several lost blocks in a row, the first gets all of it
			}
		}
		from, first = e.from, e.first
	}
}

func (f *coldFile) blocks() int { return int(f.h.blocks) }

func (f *coldFile) block(i int) *entry { return &f.entries[f.h.number(i)] }

// stored reads the stored bytes of an entry. If they are damaged, mended is true: a flipped bit is
// flipped back, anything else is rebuilt. It is [ErrDamaged] if that is beyond the parity.
func (f *coldFile) stored(number int) (b []byte, mended bool, err error) {
	e := &f.entries[number]
	if e.lost {
		return nil, false, ErrDamaged
	}
	if b, err = f.read(e); err != nil {
		return nil, false, err
	}
	if e.sound(f.h.Salt, b) {
		return b, false, nil
	}
	if e.unflip(f.h.Salt, b) {
		return b, true, nil
	}
	return b, true, f.rebuild(number, b)
}

func (f *coldFile) read(e *entry) ([]byte, error) {
	if size, err := f.file.Size(); err != nil {
		return nil, err
	} else if int64(e.stored) > size { // allocate no memory for what cannot be there
		return nil, ErrDamaged
	}
	b := make([]byte, e.stored)
	_, err := f.fetch(b, int64(e.place))
	return b, err
}

// content returns a decoded block, and whether it had to be mended.
func (f *coldFile) content(block int) (*coldBlock, bool, error) {
	number := f.h.number(block)
	b, mended, err := f.stored(number)
	if err != nil {
		return nil, false, err
	}
	e := &f.entries[number]
	raw, ok := decompress(e.codec, b, int(e.raw))
	if !ok {
		return nil, false, ErrDamaged
	}
	c, ok := decodeBlock(raw, e, f.h.Created)
	if !ok {
		return nil, false, ErrDamaged
	}
	return c, mended, nil
}
