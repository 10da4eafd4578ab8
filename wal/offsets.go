package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// An offset file keeps what one consumer has taken. Integers are little-endian.
//
//	   0  slot A   the head, rewritten in place in turn with slot B, each in a sector of its own:
//	 512  slot B   a kill or a torn sector in the middle of one leaves the other
//	1024  entries, 32 bytes each, appended: a checkpoint of the head at every sync, and a range
//	      for every item taken out of order. Of checkpoints at the end there are two at most, written
//	      in turn, so that taking in order keeps to one block, and a sync writes no other
//
// So taking in order costs one store and no space, and only what is taken out of order appends.
// What is taken only grows, so a lost entry means items that come again and never a lost item,
// and any two versions of the file may be united.
//
// Besides, the file is evidence: a slot says how many entries were on stable storage and a checkpoint
// up to which number the log's items were, each when a sync was over. What is less than that was cut,
// damaged or put back from an older copy, and not lost in a crash.
const (
	slotSpacing = 512
	slotSize    = 64
	entriesAt   = 2 * slotSpacing
	entrySize   = 32

	offsetMagic   = "DARNOFF\x00"
	offsetVersion = 1

	offsetFirstStep = 4 << 10 // bytes of a new file: one block

	entryHead  = 1 // all below to is taken, bytes in all
	entryRange = 2 // from to to is taken
)

// offsets is one mapped offset file.
type offsets struct {
	f          disk.File
	path       string
	m          []byte
	salt       uint32
	generation uint64 // counts slot writes; the slot with the higher one counts
	allocated  int    // bytes with blocks behind them
	end        int    // where the next entry goes
	checkpoint uint64 // head of the last checkpoint entry
	durable    uint64 // and what it says of the log's items: all below were on stable storage
	log        uint64 // identity of the log; 0 while it is not known
	kept       int    // so many entries were on stable storage when a sync was over
	syncing    int    // so many the sync under way brings there
	told       int    // what the slots say of that
	settled    bool   // all of it was on stable storage once
	trailing   int    // checkpoints at the very end, counted up to 2
	toWrite    int    // so many stores more are written, not stored into the map
	turn       int    // 0 or 1: which of these two is written next
	fault      error  // why the last thing that failed to get into the file did

	scratch  [slotSize]byte // what is about to be stored
	created  int64          // Unix ms
	salvaged bool           // neither slot verifies: the state is that of the entries. It may never have been synced
	lost     int            // slots and entries that were there once and do not verify, when it was opened
	torn     bool           // some do not verify, be it that they never got to the disk
}

// offsetState is what an offset file says.
type offsetState struct {
	head    uint64 // all below is taken
	below   uint64 // payload bytes of all that was below head
	created int64  // when the consumer was made, Unix ms
	taken   spans  // taken at or above head
	durable uint64 // all items below were on stable storage once; 0 when that is not known
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// createOffsets makes a blank offset file: it says nothing until the first slot is written.
func createOffsets(fsys disk.FS, path string, capacity int, created int64, log uint64) (*offsets, error) {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := fsys.Create(path)
	if err != nil {
		return nil, err
	}
	o := &offsets{f: f, path: path, salt: newSalt(), end: entriesAt, created: created, log: log}
	if err = o.allocate(offsetFirstStep); err == nil {
		o.m, err = f.Map(capacity, true)
	}
	if err != nil {
		f.Close()
		fsys.Remove(path)
		return nil, err
	}
	return o, nil
}

// openOffsets maps an existing file and reads its state. A file without a valid slot is an
// error: fs.ErrNotExist when there is none, errNoSlot when nothing of it can be believed.
func openOffsets(fsys disk.FS, path string, capacity int) (o *offsets, st offsetState, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, st, err
	}
	size, err := f.Size()
	if err == nil && size < slotSize {
		err = fmt.Errorf("%s: %w", path, errNoSlot)
	}
	short := size < entriesAt
	if err == nil && short { // cut: the first slot may be whole
		if err = f.Allocate(0, offsetFirstStep); err == nil {
			size = offsetFirstStep
		}
	}
	if err != nil {
		f.Close()
		return nil, st, err
	}
	o = &offsets{f: f, path: path, allocated: int(size), end: entriesAt}
	if o.m, err = f.Map(max(capacity, 2*int(size)), true); err != nil {
		f.Close()
		return nil, st, err
	}
	st, err = o.load()
	if err != nil {
		o.close()
		return nil, st, err
	}
	if short {
		o.lost, o.torn = o.lost+1, true
	}
	return o, st, nil
}

var errNoSlot = errors.New("offset file holds no valid head")

// load reads the newest slot and unites all valid entries with it. Each entry is judged alone, so
// a damaged one costs what it said and no other.
func (o *offsets) load() (st offsetState, err error) {
	defer segment.Guard(o.path, debug.SetPanicOnFault(true), &err)
	st.taken = newSpans()
	found, blank, torn := false, 0, 0
	for i := range 2 {
		b := o.slot(i)
		if !soundSlot(b) {
			switch {
			case isZero(b):
				blank++
			case tornSlot(b, o.slot(1-i)):
				torn++
			default:
				o.lost++
			}
			continue
		}
		if v := binary.LittleEndian.Uint32(b[8:]); v > offsetVersion {
			return st, fmt.Errorf("%s has format version %d, this program knows up to %d", o.path, v, offsetVersion)
		}
		if g := binary.LittleEndian.Uint64(b[16:]); !found || g > o.generation {
			found = true
			o.salt, o.generation = binary.LittleEndian.Uint32(b[12:]), g
			st.head, st.below = binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint64(b[32:])
			st.created = int64(binary.LittleEndian.Uint64(b[40:]))
			o.log = binary.LittleEndian.Uint64(b[48:])
			o.kept = int(min(binary.LittleEndian.Uint32(b[56:]), maxOffsetFile/entrySize))
		}
	}
	if !found && !o.salvage() {
		return st, fmt.Errorf("%s: %w", o.path, errNoSlot)
	}
	o.created, o.salvaged = st.created, !found
	valid, all := 0, 0
	for at := entriesAt; at+entrySize <= o.allocated; at += entrySize {
		kind, x, ok := o.entry(at)
		stays := ok || o.tornCheckpoint(at)
		if stays && at < entriesAt+o.kept*entrySize {
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
			st.durable = max(st.durable, x.from)
		}
		switch {
		case kind == entryHead && x.to > st.head:
			st.head, st.below = x.to, x.bytes
		case kind == entryRange:
			st.taken.add(x)
		}
	}
	o.torn = o.lost+blank+torn > 0 || all < o.entries() || valid < o.kept
	o.lost += max(0, o.kept-valid)
	if st.durable > 0 { // a sync was over, and so both slots were written
		o.lost += blank
	}
	o.told = o.kept
	o.durable, o.settled = st.durable, st.durable > 0
	st.absorb()
	return st, nil
}

// absorb moves the head over what is taken right behind it.
func (st *offsetState) absorb() {
	for {
		x, ok := st.taken.popAt(st.head)
		if !ok {
			return
		}
		if x.to >= st.head {
			st.head = x.to + 1
			st.below += x.bytes
		}
	}
}

func (o *offsets) seed(at int) uint32 { return o.salt + uint32(at/8) }

func (o *offsets) entry(at int) (kind uint32, x span, ok bool) {
	b := o.m[at:][:entrySize]
	if binary.LittleEndian.Uint64(b) == 0 {
		return 0, x, false
	}
	if crc32.Update(o.seed(at), crcTable, b[4:]) != binary.LittleEndian.Uint32(b) {
		return 0, x, false
	}
	x = span{from: binary.LittleEndian.Uint64(b[8:]), to: binary.LittleEndian.Uint64(b[16:]), bytes: binary.LittleEndian.Uint64(b[24:])}
	return binary.LittleEndian.Uint32(b[4:]), x, true
}

func (o *offsets) slot(i int) []byte { return o.m[i*slotSpacing:][:slotSize] }

// setHead stores the head into the older of the two slots. It needs no space. See fault.
func (o *offsets) setHead(head, below uint64) {
	b := o.scratch[:slotSize]
	clear(b)
	o.generation++
	copy(b, offsetMagic)
	binary.LittleEndian.PutUint32(b[8:], offsetVersion)
	binary.LittleEndian.PutUint32(b[12:], o.salt)
	binary.LittleEndian.PutUint64(b[16:], o.generation)
	binary.LittleEndian.PutUint64(b[24:], head)
	binary.LittleEndian.PutUint64(b[32:], below)
	binary.LittleEndian.PutUint64(b[40:], uint64(o.created))
	binary.LittleEndian.PutUint64(b[48:], o.log)
	binary.LittleEndian.PutUint32(b[56:], uint32(o.kept))
	o.told = o.kept
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crcTable))
	o.put(int(o.generation&1)*slotSpacing, b)
}

// append adds an entry and reports whether there was an allocated place for it. See fault.
func (o *offsets) append(kind uint32, x span) bool {
	if o.end+entrySize > o.allocated || o.end+entrySize > len(o.m) {
		return false
	}
	o.putEntry(o.end, kind, x)
	o.end += entrySize
	o.follow(kind)
	return true
}

// follow keeps count of the checkpoints at the end, to which an entry was added.
func (o *offsets) follow(kind uint32) {
	if kind != entryHead {
		o.trailing = 0
		return
	}
	o.trailing, o.turn = min(o.trailing+1, 2), 0
}

// note makes a checkpoint of the head, and of what is durable of the log, in the place of the last but
// one where nothing came after it, and reports whether there was a place. See fault.
func (o *offsets) note(head, below, durable uint64) bool {
	x := span{from: durable, to: head, bytes: below}
	if o.trailing < 2 {
		return o.append(entryHead, x)
	}
	o.putEntry(o.end-(2-o.turn)*entrySize, entryHead, x)
	o.turn = 1 - o.turn
	return true
}

func (o *offsets) putEntry(at int, kind uint32, x span) {
	b := o.scratch[:entrySize]
	binary.LittleEndian.PutUint32(b[4:], kind)
	binary.LittleEndian.PutUint64(b[8:], x.from)
	binary.LittleEndian.PutUint64(b[16:], x.to)
	binary.LittleEndian.PutUint64(b[24:], x.bytes)
	binary.LittleEndian.PutUint32(b, crc32.Update(o.seed(at), crcTable, b[4:]))
	o.put(at, b)
}

// writtenFirst is how often the file is written to after a sync before the map is used again: see segment.Segment,
// which does likewise.
const writtenFirst = 4

// beingSynced is called before the file is synced, which leaves the map's pages read-only.
func (o *offsets) beingSynced() { o.toWrite, o.syncing = writtenFirst, o.entries() }

// isSynced is called when it was.
func (o *offsets) isSynced() { o.settled, o.kept = true, max(o.kept, o.syncing) }

func (o *offsets) entries() int { return (o.end - entriesAt) / entrySize }

// put stores b. Where a file system writes no block twice a store may need space all the same: a
// write tells a full disk from a page that cannot be written at all, or succeeds.
func (o *offsets) put(at int, b []byte) {
	if o.toWrite > 0 {
		o.toWrite--
		if o.writeAt(at, b) == nil {
			return
		}
	}
	if fault := o.putMapped(at, b); fault != nil {
		if err := o.writeAt(at, b); err != nil {
			o.fault = errors.Join(err, fault)
		}
	}
}

// writeAt writes b, unless somebody cut the file short, which that would hide.
func (o *offsets) writeAt(at int, b []byte) error {
	size, err := o.f.Size()
	if err == nil && size < int64(o.allocated) {
		err = fmt.Errorf("%s has only %d bytes", o.path, size)
	}
	if err == nil {
		_, err = o.f.WriteAt(b, int64(at))
	}
	return err
}

func (o *offsets) putMapped(at int, b []byte) (err error) {
	defer segment.Guard(o.path, debug.SetPanicOnFault(true), &err)
	copy(o.m[at:], b)
	return nil
}

// size is how many bytes of a file the whole state takes: a checkpoint, and each range.
func (st *offsetState) size() int { return entriesAt + entrySize*(1+st.taken.tree.Len()) }

func fullBlocks(n int) int { return (n + offsetFirstStep - 1) / offsetFirstStep * offsetFirstStep }

// writeDurably is write into a new file that is on stable storage then.
func (o *offsets) writeDurably(st *offsetState) error {
	if err := o.allocate(fullBlocks(st.size())); err != nil {
		return err
	}
	if !o.write(st, true) {
		return errors.Join(errOffsetsFull, o.fault)
	}
	return o.f.Sync()
}

// write puts a whole state into a blank file; ok is false when it does not fit. What such a file says of
// what is durable would be a lie as long as the file is not: synced says that it is before it counts.
func (o *offsets) write(st *offsetState, synced bool) (ok bool) {
	durable := uint64(0)
	if synced {
		durable = st.durable
	}
	ok = o.append(entryHead, span{from: durable, to: st.head, bytes: st.below})
	st.taken.each(func(x span) bool {
		ok = ok && o.append(entryRange, x)
		return ok
	})
	if ok {
		if synced {
			o.kept = o.entries()
		}
		o.setHead(st.head, st.below)
		o.setHead(st.head, st.below) // into the other slot
		o.checkpoint, o.durable = st.head, durable
	}
	return ok && o.fault == nil
}

func (o *offsets) allocate(n int) error {
	if err := o.f.Allocate(0, int64(n)); err != nil {
		return err
	}
	o.allocated = n
	return nil
}

// grow makes room for some more entries, up to what is mapped. It keeps a taker waiting: so it writes a page, for which
// a file system finds blocks later, rather than ask for them.
func (o *offsets) grow() error {
	switch {
	case o.fault != nil:
		return o.fault
	case o.allocated+offsetFirstStep > len(o.m):
		return errOffsetsFull
	}
	if _, err := o.f.WriteAt(blankPage[:], int64(o.allocated)); err != nil {
		return err
	}
	o.allocated += offsetFirstStep
	return nil
}

var blankPage [offsetFirstStep]byte

var errOffsetsFull = errors.New("offset file has reached its bound")

func (o *offsets) close() error {
	return errors.Join(o.f.Unmap(o.m), o.f.Close())
}
