package kestrel

// The operations of a journal, one behind another, little-endian; a size counts what follows it.
//
//	0 ADD                  i32 size, i32 expiry in Unix seconds, data      append
//	1 REMOVE                                                               drop the head
//	2 ADDX                 i32 size, i64 added, i64 expiry in ms, data     append
//	3 REMOVE_TENTATIVE                                                     open the head under the next id
//	4 SAVE_XID             i32 id                                          the last id used
//	5 UNREMOVE             i32 id                                          that open item back to the head
//	6 CONFIRM_REMOVE       i32 id                                          that open item is gone
//	7 ADD_XID              i32 id, then as ADDX                            append; opened by the 3 behind it, under id
//	8 STATE_DUMP           i32 id, i32 count                               count open items follow, as 7
//	8 CONTINUE             i32 id, then as ADDX                            that open item is gone, append
//	9 REMOVE_TENTATIVE_XID i32 id                                          open the head under id
//
// Releases differ in what 8 means, and from 2.2 on wrote 9 instead of 3. The two meanings of 8 are
// told apart by the time that a CONTINUE has where a STATE_DUMP ends.

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	codeAdd = iota
	codeRemove
	codeAddX
	codeRemoveTentative
	codeSaveID
	codeUnremove
	codeConfirm
	codeAddID
	codeDumpOrContinue
	codeRemoveTentativeID
)

// kind is what an operation does to a queue.
type kind uint8

const (
	add      kind = iota // item to the tail
	remove               // head away
	open                 // head aside, under id, or the next one if id is nextID
	openItem             // item itself aside, under id; it never was in the queue
	saveID               // id is the last one used
	unremove             // open item back to the head
	confirm              // open item away
	resume               // open item away, item to the tail
)

// byID are the operations that are an id and no more.
var byID = map[byte]kind{codeRemoveTentativeID: open, codeSaveID: saveID, codeUnremove: unremove, codeConfirm: confirm}

// nextID is no id that Kestrel gives.
const nextID = 0

type op struct {
	kind kind
	id   int32
	item entry
}

// entry is an item where it stands.
type entry struct {
	file           int   // which of the queue's
	at, size       int64 // of the payload, bytes
	added, expires int64 // Unix ms; 0 when not known, or never
}

var (
	// errTorn: the last operation was cut short.
	errTorn = errors.New("the last operation is cut short")

	// errBeyond: it cannot have been cut short by a crash, as other operations follow.
	errBeyond = errors.New("an operation claims more bytes than there are")

	errDamaged = errors.New("no operation")
)

// decoder reads the operations of one file.
type decoder struct {
	r      *bufio.Reader
	src    *io.SectionReader // below r
	at     int64             // of the next operation
	size   int64             // of the file
	dumped int32             // open items yet to come of a STATE_DUMP
}

const (
	bufferSize = 64 << 10
	stampSize  = 16 // added and expiry
)

func newDecoder(r *io.SectionReader, size int64) *decoder {
	return &decoder{r: bufio.NewReaderSize(r, bufferSize), src: r, size: size}
}

// next returns the next operation; io.EOF at the end, errTorn or errDamaged where reading has to
// end. at stays on the operation that could not be read.
func (d *decoder) next() (o op, err error) {
	at := d.at
	if o, err = d.read(); err != nil {
		d.at = at
	}
	return o, err
}

func (d *decoder) read() (o op, err error) {
	code, err := d.r.ReadByte()
	if err != nil {
		return o, err
	}
	d.at++
	switch code {
	case codeAdd:
		o.kind = add
		o.item, err = d.oldItem()
	case codeAddX:
		o.kind = add
		o.item, err = d.item()
	case codeRemove:
		o.kind = remove
	case codeRemoveTentative:
		o.kind, o.id = open, nextID
	case codeRemoveTentativeID, codeSaveID, codeUnremove, codeConfirm:
		o.kind = byID[code]
		o.id, err = d.int32()
	case codeAddID:
		return d.addID()
	case codeDumpOrContinue:
		return d.dumpOrContinue()
	default:
		err = fmt.Errorf("%w begins with byte %d", errDamaged, code)
	}
	return o, err
}

// addID joins an ADD_XID with the REMOVE_TENTATIVE behind it. In a STATE_DUMP there may be none.
func (d *decoder) addID() (o op, err error) {
	o.kind = add
	if o.id, err = d.int32(); err != nil {
		return o, err
	}
	if o.item, err = d.item(); err != nil {
		return o, err
	}
	if code, err := d.r.Peek(1); err == nil && code[0] == codeRemoveTentative {
		d.r.Discard(1)
		d.at++
		o.kind = openItem
	}
	if d.dumped > 0 {
		d.dumped--
		o.kind = openItem
	}
	return o, nil
}

func (d *decoder) dumpOrContinue() (o op, err error) {
	if o.id, err = d.int32(); err != nil {
		return o, err
	}
	if d.continues() {
		o.kind = resume
		o.item, err = d.item()
		return o, err
	}
	count, err := d.int32()
	if err == nil && count < 0 {
		err = fmt.Errorf("%w has %d open items", errDamaged, count)
	}
	o.kind, d.dumped = saveID, count
	return o, err
}

// continues looks whether a size and a time between the years 2004 and 2100 come next.
func (d *decoder) continues() bool {
	b, err := d.r.Peek(4 + 8)
	if err != nil {
		return false
	}
	size, added := int32(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint64(b[4:]))
	return size >= stampSize && added > timeFrom && added < timeTo
}

func (d *decoder) int32() (int32, error) {
	b, err := d.bytes(4)
	if err != nil {
		return 0, err
	}
	return int32(binary.LittleEndian.Uint32(b)), nil
}

// bytes returns the next few bytes, valid until more is read.
func (d *decoder) bytes(n int) ([]byte, error) {
	b, err := d.r.Peek(n)
	if err == io.EOF {
		err = errTorn
	}
	if err != nil {
		return nil, err
	}
	d.r.Discard(n)
	d.at += int64(n)
	return b, nil
}

// oldItem reads an item that has no time of its own.
func (d *decoder) oldItem() (e entry, err error) {
	size, err := d.itemSize(4)
	if err != nil {
		return e, err
	}
	seconds, err := d.int32()
	if err != nil {
		return e, err
	}
	e.expires = int64(seconds) * 1000
	e.at, e.size = d.at, size-4
	return e, d.skip(e.size)
}

func (d *decoder) item() (e entry, err error) {
	size, err := d.itemSize(stampSize)
	if err != nil {
		return e, err
	}
	b, err := d.bytes(stampSize)
	if err != nil {
		return e, err
	}
	e.added, e.expires = int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))
	e.at, e.size = d.at, size-stampSize
	return e, d.skip(e.size)
}

// itemSize reads a size that counts at least so many bytes.
func (d *decoder) itemSize(least int32) (int64, error) {
	size, err := d.int32()
	if err == nil && size < least {
		err = fmt.Errorf("%w has an item of %d bytes", errDamaged, size)
	}
	return int64(size), err
}

// skip passes over a payload, reading no more of it than is buffered.
func (d *decoder) skip(n int64) error {
	if n > d.size-d.at {
		return errTorn
	}
	d.at += n
	if n <= int64(d.r.Buffered()) {
		_, err := d.r.Discard(int(n))
		return err
	}
	return d.seek(d.at)
}

func (d *decoder) seek(at int64) error {
	d.at = at
	if _, err := d.src.Seek(at, io.SeekStart); err != nil {
		return err
	}
	d.r.Reset(d.src)
	return nil
}
