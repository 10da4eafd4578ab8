package kestrel

// The operations of a journal follow each other, little-endian. A size counts the bytes after it.
//
//	0 ADD                  i32 size, i32 expiry in Unix seconds, data  append
//	1 REMOVE                                                           drop the head
//	2 ADDX                 i32 size, i64 added, i64 expiry in ms, data append
//	3 REMOVE_TENTATIVE                                                 open the head as next id
//	4 SAVE_XID             i32 id                                      the last id used
//	5 UNREMOVE             i32 id                                      return an open item
//	6 CONFIRM_REMOVE       i32 id                                      drop an open item
//	7 ADD_XID              i32 id, then as ADDX                        append; a 3 opens it
//	8 STATE_DUMP           i32 id, i32 count                           count open items follow
//	8 CONTINUE             i32 id, then as ADDX                        drop an open item, append
//	9 REMOVE_TENTATIVE_XID i32 id                                      open the head as id
//
// Releases differ in what 8 means, and wrote 9 instead of 3 from 2.2 on. A CONTINUE has a time
// where a STATE_DUMP ends: this shows which of the two an 8 is.

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

// kind is what an operation does to the queue.
type kind uint8

const (
	add      kind = iota // append the item
	remove               // drop the head
	open                 // open the head under id, or under the next id if id is nextID
	openItem             // open the item under id; it never was in the queue
	saveID               // id is the last id used
	unremove             // return the open item to the head
	confirm              // drop the open item
	resume               // drop the open item, append the item
)

// byID lists the operations that consist of an id only.
var byID = map[byte]kind{codeRemoveTentativeID: open, codeSaveID: saveID, codeUnremove: unremove,
	codeConfirm: confirm}

// nextID stands for the next id. Kestrel never uses it.
const nextID = 0

type op struct {
	kind kind
	id   int32
	item entry
}

// entry says where an item is.
type entry struct {
	file           int   // index of the queue's file
	at, size       int64 // of the payload, in bytes
	added, expires int64 // Unix ms; 0: not known, never
}

var (
	// errTorn means that the file ends within an operation.
	errTorn = errors.New("the last operation is cut short")

	// errBeyond is errTorn where other operations follow, so that it was no crash.
	errBeyond = errors.New("an operation claims more bytes than there are")

	errDamaged = errors.New("no operation")
)

// decoder reads the operations of one file.
type decoder struct {
	r      *bufio.Reader
	src    *io.SectionReader // what r reads from
	at     int64             // offset of the next operation
	size   int64             // size of the file
	dumped int32             // open items of a STATE_DUMP that are still to come
}

const (
	bufferSize = 64 << 10
	stampSize  = 16 // time added and expiry
	oldStamp   = 4  // expiry of an ADD
)

func newDecoder(r *io.SectionReader, size int64) *decoder {
	return &decoder{r: bufio.NewReaderSize(r, bufferSize), src: r, size: size}
}

// next returns the next operation. The error is io.EOF at the end, and errTorn or errDamaged if the
// operation cannot be read; at then stays at this operation.
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
		o.item, err = d.item(oldStamp)
	case codeAddX:
		o.kind = add
		o.item, err = d.item(stampSize)
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

// addID reads an ADD_XID and the REMOVE_TENTATIVE after it. In a STATE_DUMP this may be missing.
func (d *decoder) addID() (o op, err error) {
	o.kind = add
	if o.id, err = d.int32(); err != nil {
		return o, err
	}
	if o.item, err = d.item(stampSize); err != nil {
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
		o.item, err = d.item(stampSize)
		return o, err
	}
	count, err := d.int32()
	if err == nil && count < 0 {
		err = fmt.Errorf("%w has %d open items", errDamaged, count)
	}
	o.kind, d.dumped = saveID, count
	return o, err
}

// continues reports whether a size and a time between the years 2004 and 2100 come next.
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

// bytes returns the next n bytes. They are valid until the next read.
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

// item reads an item. Its times take stamp bytes, which is oldStamp or stampSize.
func (d *decoder) item(stamp int) (e entry, err error) {
	size, err := d.int32()
	if err != nil {
		return e, err
	}
	if int(size) < stamp {
		return e, fmt.Errorf("%w has an item of %d bytes", errDamaged, size)
	}
	b, err := d.bytes(stamp)
	if err != nil {
		return e, err
	}
	if stamp == oldStamp {
		e.expires = int64(int32(binary.LittleEndian.Uint32(b))) * 1000
	} else {
		e.added = int64(binary.LittleEndian.Uint64(b))
		e.expires = int64(binary.LittleEndian.Uint64(b[8:]))
	}
	e.at, e.size = d.at, int64(size)-int64(stamp)
	return e, d.skip(e.size)
}

// skip skips a payload without reading it, except for what is buffered already.
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
