// Package offset keeps what a consumer of a log has taken, in memory and in its offset file. It
// reads the file, writes it as items are taken, and judges it offline.
package offset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// An offset file keeps what one consumer has taken. Integers are little-endian.
//
//	   0  slot A   the head; slots A and B are rewritten in place in turn, each in its own sector,
//	 512  slot B   so that a kill or a torn sector in the middle of one leaves the other
//	1024  entries, 32 bytes each, appended: a checkpoint of the head at every sync, and a range
//	      for every item taken out of order. At the end there are at most two checkpoints, written
//	      in turn. So taking in order stays within one block, and a sync writes no other.
//
// So taking in order costs one store and no space; only items taken out of order append. What is
// taken only grows. So a lost entry makes items come again and never loses an item, and any two
// versions of the file may be united.
//
// The file is also evidence. When a sync is over, a slot says how many entries are on stable
// storage, and a checkpoint up to which number the log's items are. If there is less than that, it
// was cut off, damaged or restored from an older copy. It was not lost in a crash.
const (
	slotSpacing = 512
	slotSize    = 64
	entriesAt   = 2 * slotSpacing
	entrySize   = 32

	offsetMagic   = "DARNOFF\x00"
	offsetVersion = 1

	// FirstStep is the size of a new file in bytes: one block.
	FirstStep = 4 << 10

	// maxFile is larger than any offset file gets.
	maxFile = 1 << 30

	entryHead  = 1 // a checkpoint: everything below to is taken; bytes is their sum
	entryRange = 2 // the numbers from..to are taken
)

// File is one mapped offset file. Its methods need a lock that all its users share.
type File struct {
	Path  string
	Log   uint64 // identity of the log; 0 while it is not known
	Fault error  // of the last store or write that failed

	f            disk.File
	m            []byte
	salt         uint32
	generation   uint64 // counts writes of slots; the slot with the higher number counts
	allocated    int    // bytes that have disk blocks
	end          int    // where the next entry goes
	checkpoint   uint64 // head in the last checkpoint
	durable      uint64 // number in it below which all items of the log were on stable storage
	synced       int    // entries that were on stable storage when the last sync was over
	syncing      int    // entries that will be when the sync under way is over
	recorded     int    // what the slots say of synced
	everSynced   bool   // the whole file has been on stable storage once
	trailing     int    // checkpoints at the very end, counted up to 2
	nextTrailing int    // 0 or 1: which of these two is written next
	toWrite      int    // how many more stores are written to the file instead

	scratch [slotSize]byte // what is about to be stored
	created int64          // Unix ms

	// What load found:
	salvaged bool // neither slot verifies: the state, from the entries, may never have been synced
	lost     int  // slots and entries that were there once and do not verify
	torn     bool // some place does not verify, maybe because it never got to the disk
}

// Create makes a blank offset file, which says nothing until the first slot is written.
func Create(fsys disk.FS, path string, capacity int, created int64, log uint64) (*File, error) {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := fsys.Create(path)
	if err != nil {
		return nil, err
	}
	o := &File{f: f, Path: path, salt: rand.Uint32(), end: entriesAt, created: created, Log: log}
	if err = o.allocate(FirstStep); err == nil {
		o.m, err = f.Map(capacity, true)
	}
	if err != nil {
		f.Close()
		fsys.Remove(path)
		return nil, err
	}
	return o, nil
}

// Open maps an existing file and reads its state. The error is fs.ErrNotExist if there is no file,
// and ErrNoSlot if nothing in it can be believed.
func Open(fsys disk.FS, path string, capacity int) (o *File, st State, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, st, err
	}
	size, err := f.Size()
	if err == nil && size < slotSize {
		err = fmt.Errorf("%s: %w", path, ErrNoSlot)
	}
	short := size < entriesAt
	if err == nil && short { // the file was cut, but the first slot may be complete
		if err = f.Allocate(0, FirstStep); err == nil {
			size = FirstStep
		}
	}
	if err != nil {
		f.Close()
		return nil, st, err
	}
	o = &File{f: f, Path: path, allocated: int(size), end: entriesAt}
	if o.m, err = f.Map(max(capacity, 2*int(size)), true); err != nil {
		f.Close()
		return nil, st, err
	}
	st, err = o.load()
	if err != nil {
		o.Close()
		return nil, st, err
	}
	if short {
		o.lost, o.torn = o.lost+1, true
	}
	return o, st, nil
}

// ErrNoSlot: nothing in an offset file can be believed.
var ErrNoSlot = errors.New("offset file holds no valid head")

// load reads the newest slot and unites all valid entries with it. Each entry is judged by itself,
// so a damaged one costs what it said and nothing else.
func (o *File) load() (st State, err error) {
	defer segment.Guard(o.Path, debug.SetPanicOnFault(true), &err)
	st.Taken = newSet()
	found, blanks, torn := false, 0, 0
	for i := range 2 {
		b := o.slot(i)
		if !soundSlot(b) {
			switch {
			case blank.Bytes(b):
				blanks++
			case tornSlot(b, o.slot(1-i)):
				torn++
			default:
				o.lost++
			}
			continue
		}
		if v := binary.LittleEndian.Uint32(b[8:]); v > offsetVersion {
			return st, fmt.Errorf("%s has format version %d, this program knows up to %d",
				o.Path, v, offsetVersion)
		}
		if g := binary.LittleEndian.Uint64(b[16:]); !found || g > o.generation {
			found = true
			o.salt, o.generation = binary.LittleEndian.Uint32(b[12:]), g
			st.Head = binary.LittleEndian.Uint64(b[24:])
			st.Below = binary.LittleEndian.Uint64(b[32:])
			st.Created = int64(binary.LittleEndian.Uint64(b[40:]))
			o.Log = binary.LittleEndian.Uint64(b[48:])
			o.synced = int(min(binary.LittleEndian.Uint32(b[56:]), maxFile/entrySize))
		}
	}
	if !found && !o.salvage() {
		return st, fmt.Errorf("%s: %w", o.Path, ErrNoSlot)
	}
	o.created, o.salvaged = st.Created, !found
	valid, all := 0, 0
	for at := entriesAt; at+entrySize <= o.allocated; at += entrySize {
		kind, x, ok := o.entry(at)
		stays := ok || o.tornCheckpoint(at)
		if stays && at < entriesAt+o.synced*entrySize {
			valid++
		}
		if !ok {
			if stays {
				torn++
			}
			continue
		}
		all++
		o.end = at + entrySize
		o.follow(kind)
		if kind == entryHead {
			st.Durable = max(st.Durable, x.From)
		}
		switch {
		case kind == entryHead && x.To > st.Head:
			st.Head, st.Below = x.To, x.Bytes
		case kind == entryRange:
			st.Taken.Add(x)
		}
	}
	o.torn = o.lost+blanks+torn > 0 || all < o.entries() || valid < o.synced
	o.lost += max(0, o.synced-valid)
	if st.Durable > 0 { // a sync was over, so both slots had been written
		o.lost += blanks
	}
	o.recorded = o.synced
	o.durable, o.everSynced = st.Durable, st.Durable > 0
	st.Absorb()
	return st, nil
}

func (o *File) seed(at int) uint32 { return o.salt + uint32(at/8) }

func (o *File) entry(at int) (kind uint32, x Span, ok bool) {
	b := o.m[at:][:entrySize]
	if binary.LittleEndian.Uint64(b) == 0 {
		return 0, x, false
	}
	if checksum.Update32(o.seed(at), b[4:]) != binary.LittleEndian.Uint32(b) {
		return 0, x, false
	}
	x = Span{
		From:  binary.LittleEndian.Uint64(b[8:]),
		To:    binary.LittleEndian.Uint64(b[16:]),
		Bytes: binary.LittleEndian.Uint64(b[24:]),
	}
	return binary.LittleEndian.Uint32(b[4:]), x, true
}

func (o *File) slot(i int) []byte { return o.m[i*slotSpacing:][:slotSize] }

// Identity returns the log that an offset file says it belongs to, 0 if it does not say.
func Identity(fsys disk.FS, path string) (id uint64, err error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var b [entriesAt]byte
	if _, err := f.ReadAt(b[:], 0); err != nil && err != io.EOF {
		return 0, err
	}
	for i := range 2 {
		if slot := b[i*slotSpacing:][:slotSize]; soundSlot(slot) {
			return binary.LittleEndian.Uint64(slot[48:]), nil
		}
	}
	return 0, nil
}

func soundSlot(b []byte) bool {
	return string(b[:8]) == offsetMagic &&
		checksum.Of32(b[:60]) == binary.LittleEndian.Uint32(b[60:])
}

// Peek reads an offset file without changing it: its state, the log it belongs to, and its size in
// bytes, which is at least that of the slots. Errors are ErrNoSlot and those of the disk.
func Peek(fsys disk.FS, path string) (st State, log uint64, size int, err error) {
	b, release, err := contents(fsys, path)
	if err != nil {
		return st, 0, 0, err
	}
	defer release()
	o := &File{Path: path, m: b, allocated: len(b), end: entriesAt}
	st, err = o.load()
	return st, o.Log, len(b), err
}

// contents returns the bytes of a file, and at least those before the entries. They are valid until
// release is called.
func contents(fsys disk.FS, path string) (b []byte, release func() error, err error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, nil, err
	}
	if size > maxFile {
		return nil, nil, fmt.Errorf("%s: %w: %d bytes are too many", path, ErrNoSlot, size)
	}
	head := make([]byte, entriesAt) // read, not only mapped: an error is better than a fault
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, nil, err
	}
	if size <= entriesAt {
		return head, func() error { return nil }, nil
	}
	if b, err = f.Map(int(size), false); err != nil {
		return nil, nil, err
	}
	return b, func() error { return f.Unmap(b) }, nil
}
