package segment

// Reading a cold file: its header and directory, and its blocks. A damaged block is rebuilt from
// its group.

import (
	"errors"
	"io"
	"math"
	"syscall"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
	"github.com/klauspost/reedsolomon"
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

// readColdHeader looks for the header of a cold file of size bytes in its first [HeaderSize] and
// its last [FooterSize] bytes. If nothing looks like one, the error is [ErrNotSegment].
func readColdHeader(head, foot []byte, size int64) (h coldHeader, damaged int, err error) {
	looks, err := false, ErrHeaderLost
	for i, c := range [...][]byte{head, head[min(len(head), headerCopy):], foot} {
		var one coldHeader
		switch e := one.decode(c); {
		case e == ErrVersion:
			return h, 0, e
		case e != nil, one.directoryLen() > size, i == 2 && int64(one.size) != size:
			looks = looks || i < 2 && looksCold(c) // the end may belong to a payload
			damaged++
		case err != nil:
			h, err = one, nil
		}
	}
	if err != nil && !looks {
		err = ErrNotSegment
	}
	return h, damaged, err
}

// readDirectory reads the directory. It takes entries that are damaged from the second copy.
func (f *coldFile) readDirectory() (damaged int, err error) {
	n := f.h.directoryLen()
	f.entries = make([]entry, f.h.entries())
	b := make([]byte, n)
	var second []byte
	if _, err := f.fetch(b, HeaderSize); err != nil {
		return 0, err
	}
	for i := range f.entries {
		e := &f.entries[i]
		if e.decode(b[i*coldEntry:], &f.h, i) {
			continue
		}
		damaged++
		if second == nil {
			second = make([]byte, n)
			if err := f.fetchPages(second, int64(f.h.directory)); err != nil {
				return 0, err
			}
			if err := f.fetchPages(b, HeaderSize); err != nil {
				return 0, err
			}
		}
		if !e.decode(b[i*coldEntry:], &f.h, i) && !e.decode(second[i*coldEntry:], &f.h, i) {
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

// stored reads the stored bytes of an entry, and rebuilds them if they are damaged. It is
// [ErrDamaged] if that is beyond the parity.
func (f *coldFile) stored(number int) (b []byte, rebuilt bool, err error) {
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
	r := rebuild{f: f, number: number}
	return b, true, r.run(b)
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

// content returns a decoded block, and whether it had to be rebuilt.
func (f *coldFile) content(block int) (*coldBlock, bool, error) {
	number := f.h.number(block)
	b, rebuilt, err := f.stored(number)
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
	return c, rebuilt, nil
}

// rebuild computes a damaged block from the others of its group, one column of pieces at a time.
type rebuild struct {
	f      *coldFile
	number int
	code   reedsolomon.Encoder
	sums   [groupData + maxParity][]uint32 // of the group's blocks, by their place in the shards
	known  [groupData + maxParity]uint8    // what is known of each block
}

// What is known of a block.
const (
	unasked  uint8 = iota
	bySums         // each piece has a checksum
	allSound       // the checksums are lost, but the block as a whole is sound
	allLost
)

// run fills b, the damaged stored bytes of the block.
func (r *rebuild) run(b []byte) (err error) {
	f := r.f
	if f.h.parity == 0 {
		return ErrDamaged
	}
	if r.code, err = newCode(int(f.h.parity)); err != nil {
		return err
	}
	e := &f.entries[r.number]
	for c := range e.columns() {
		from, to := e.piece(c)
		if ok, err := r.piece(r.number, c, b[from:to]); err != nil {
			return err
		} else if ok {
			continue
		}
		p, err := r.column(c)
		if err != nil {
			return err
		}
		copy(b[from:to], p)
	}
	if !e.sound(f.h.Salt, b) {
		return ErrDamaged
	}
	return nil
}

// column returns a piece of the damaged block, computed from the others.
func (r *rebuild) column(column int) ([]byte, error) {
	from, parity, to := r.f.h.group(r.f.h.groupOf(r.number))
	shards := make([][]byte, groupData+int(r.f.h.parity))
	for i := range groupData { // blocks that the last group does not have count as zeros
		shards[i] = make([]byte, pieceSize)
	}
	target := 0
	for n := from; n < to; n++ {
		i := n - from
		if n >= parity {
			i = groupData + n - parity
		}
		shards[i] = nil
		if n == r.number {
			target = i
			continue
		}
		p := make([]byte, pieceSize)
		if ok, err := r.piece(n, column, p); err != nil {
			return nil, err
		} else if ok {
			shards[i] = p
		}
	}
	if r.code.Reconstruct(shards) != nil {
		return nil, ErrDamaged
	}
	return shards[target], nil
}

// piece reads a piece of a block into p, with zeros after its end, and reports whether it is sound.
func (r *rebuild) piece(number, column int, p []byte) (bool, error) {
	e := &r.f.entries[number]
	if err := r.ask(number); err != nil {
		return false, err
	}
	switch {
	case r.state(number) == allLost:
		return false, nil
	case column >= e.columns():
		clear(p)
		return true, nil
	}
	from, to := e.piece(column)
	p = p[:to-from]
	if whole, err := r.f.fetch(p, int64(e.place)+int64(from)); err != nil || !whole {
		return false, err
	}
	return r.state(number) == allSound ||
		e.pieceSum(r.f.h.Salt, column, p) == r.sums[number-r.first()][column], nil
}

func (r *rebuild) first() int {
	from, _, _ := r.f.h.group(r.f.h.groupOf(r.number))
	return from
}

func (r *rebuild) state(number int) uint8 { return r.known[number-r.first()] }

// ask finds out how to tell the sound pieces of a block from damaged ones.
func (r *rebuild) ask(number int) error {
	i, e := number-r.first(), &r.f.entries[number]
	if r.known[i] != unasked {
		return nil
	}
	r.known[i] = allLost
	if e.lost {
		return nil
	}
	for _, at := range e.pieces {
		b := make([]byte, sumsLen(int(e.stored)))
		if _, err := r.f.fetch(b, int64(at)); err != nil {
			return err
		}
		if checksum.Update32(sumsSeed(r.f.h.Salt, number), b[4:]) == le.Uint32(b) {
			for b = b[4:]; len(b) > 0; b = b[4:] {
				r.sums[i] = append(r.sums[i], le.Uint32(b))
			}
			r.known[i] = bySums
			return nil
		}
	}
	b, err := r.f.read(e)
	if err == nil && e.sound(r.f.h.Salt, b) {
		r.known[i] = allSound
	}
	return err
}
