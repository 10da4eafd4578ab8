package offset

// Writing to an offset file: nothing here waits for the disk but what says so.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/checksum"
)

// SetHead stores the head into the older of the two slots. It needs no space. See Fault.
func (o *File) SetHead(head, below uint64) {
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
	binary.LittleEndian.PutUint64(b[48:], o.Log)
	binary.LittleEndian.PutUint32(b[56:], uint32(o.kept))
	o.told = o.kept
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], checksum.Table))
	o.put(int(o.generation&1)*slotSpacing, b)
}

// Note keeps a range that was taken out of order, and reports whether there was an allocated place for it. See Fault.
func (o *File) Note(x Span) bool { return o.append(entryRange, x) }

// append adds an entry and reports whether there was an allocated place for it. See Fault.
func (o *File) append(kind uint32, x Span) bool {
	if o.end+entrySize > o.allocated || o.end+entrySize > len(o.m) {
		return false
	}
	o.putEntry(o.end, kind, x)
	o.end += entrySize
	o.follow(kind)
	return true
}

// follow keeps count of the checkpoints at the end, to which an entry was added.
func (o *File) follow(kind uint32) {
	if kind != entryHead {
		o.trailing = 0
		return
	}
	o.trailing, o.turn = min(o.trailing+1, 2), 0
}

// Checkpoint notes the head once more, so that the file does not depend on its two slots alone, and what
// is durable of the log. A file that is not durable itself does not say the latter: what it says could
// survive a power cut that it does not. See Fault.
func (o *File) Checkpoint(head, below, durable uint64) {
	if !o.settled {
		durable = o.durable
	}
	if (o.checkpoint != head || o.durable != durable) && o.note(head, below, durable) {
		o.checkpoint, o.durable = head, durable
	}
}

// LacksCheckpoint reports that there is no place for the next checkpoint: see Grow.
func (o *File) LacksCheckpoint() bool { return o.trailing < 2 && o.end+entrySize > o.allocated }

// note makes a checkpoint of the head, and of what is durable of the log, in the place of the last but
// one where nothing came after it, and reports whether there was a place. See Fault.
func (o *File) note(head, below, durable uint64) bool {
	x := Span{From: durable, To: head, Bytes: below}
	if o.trailing < 2 {
		return o.append(entryHead, x)
	}
	o.putEntry(o.end-(2-o.turn)*entrySize, entryHead, x)
	o.turn = 1 - o.turn
	return true
}

func (o *File) putEntry(at int, kind uint32, x Span) {
	b := o.scratch[:entrySize]
	binary.LittleEndian.PutUint32(b[4:], kind)
	binary.LittleEndian.PutUint64(b[8:], x.From)
	binary.LittleEndian.PutUint64(b[16:], x.To)
	binary.LittleEndian.PutUint64(b[24:], x.Bytes)
	binary.LittleEndian.PutUint32(b, crc32.Update(o.seed(at), checksum.Table, b[4:]))
	o.put(at, b)
}

// writtenFirst is how often the file is written to after a sync before the map is used again: see segment.Segment,
// which does likewise.
const writtenFirst = 4

// BeingSynced is called before the file is synced, which leaves the map's pages read-only.
func (o *File) BeingSynced() { o.toWrite, o.syncing = writtenFirst, o.entries() }

// Synced is called when it was.
func (o *File) Synced() { o.settled, o.kept = true, max(o.kept, o.syncing) }

// Settle notes that the whole file is on stable storage.
func (o *File) Settle() { o.settled = true }

// Settled reports that all of it was on stable storage once.
func (o *File) Settled() bool { return o.settled }

// Durable is what its last checkpoint says of the log: all items below were on stable storage.
func (o *File) Durable() uint64 { return o.durable }

// Untold reports that more entries are on stable storage than the slots say: SetHead tells.
func (o *File) Untold() bool { return o.kept > o.told }

// Sync brings it to stable storage.
func (o *File) Sync() error { return o.f.Sync() }

// End is where the next entry goes, in bytes.
func (o *File) End() int { return o.end }

// Allocated is how many bytes have blocks behind them.
func (o *File) Allocated() int { return o.allocated }

// Succeed has a new file count on from the one that it is to replace.
func (o *File) Succeed(old *File) { o.generation = old.generation }

func (o *File) entries() int { return (o.end - entriesAt) / entrySize }

// put stores b. Where a file system writes no block twice a store may need space all the same: a
// write tells a full disk from a page that cannot be written at all, or succeeds.
func (o *File) put(at int, b []byte) {
	if o.toWrite > 0 {
		o.toWrite--
		if o.writeAt(at, b) == nil {
			return
		}
	}
	if fault := o.putMapped(at, b); fault != nil {
		if err := o.writeAt(at, b); err != nil {
			o.Fault = errors.Join(err, fault)
		}
	}
}

// writeAt writes b, unless somebody cut the file short, which that would hide.
func (o *File) writeAt(at int, b []byte) error {
	size, err := o.f.Size()
	if err == nil && size < int64(o.allocated) {
		err = fmt.Errorf("%s has only %d bytes", o.Path, size)
	}
	if err == nil {
		_, err = o.f.WriteAt(b, int64(at))
	}
	return err
}

func (o *File) putMapped(at int, b []byte) (err error) {
	defer segment.Guard(o.Path, debug.SetPanicOnFault(true), &err)
	copy(o.m[at:], b)
	return nil
}

// Fill writes a whole state into a blank file, which is synced or not before it counts.
func (o *File) Fill(st *State, synced bool) error {
	if size := st.Size(); size > o.allocated {
		if err := o.Reserve(steps(size)); err != nil {
			return err
		}
	}
	if !o.write(st, synced) {
		return fmt.Errorf("%s: %w", o.Path, errors.Join(errFull, o.Fault))
	}
	return nil
}

// steps is n in whole steps.
func steps(n int) int { return (n + FirstStep - 1) / FirstStep * FirstStep }

// write puts a whole state into a blank file; ok is false when it does not fit. What such a file says of
// what is durable would be a lie as long as the file is not: synced says that it is before it counts.
func (o *File) write(st *State, synced bool) (ok bool) {
	durable := uint64(0)
	if synced {
		durable = st.Durable
	}
	ok = o.append(entryHead, Span{From: durable, To: st.Head, Bytes: st.Below})
	st.Taken.Each(func(x Span) bool {
		ok = ok && o.append(entryRange, x)
		return ok
	})
	if ok {
		if synced {
			o.kept = o.entries()
		}
		o.SetHead(st.Head, st.Below)
		o.SetHead(st.Head, st.Below) // into the other slot
		o.checkpoint, o.durable = st.Head, durable
	}
	return ok && o.Fault == nil
}

// Reserve has n bytes of the disk, as far as they are mapped.
func (o *File) Reserve(n int) error {
	if n = min(n, len(o.m)); n <= o.allocated {
		return nil
	}
	return o.allocate(n)
}

func (o *File) allocate(n int) error {
	if err := o.f.Allocate(0, int64(n)); err != nil {
		return err
	}
	o.allocated = n
	return nil
}

// Grow makes room for some more entries, up to what is mapped. It keeps a taker waiting: so it writes a page, for which
// a file system finds blocks later, rather than ask for them.
func (o *File) Grow() error {
	switch {
	case o.Fault != nil:
		return o.Fault
	case o.allocated+FirstStep > len(o.m):
		return errFull
	}
	if _, err := o.f.WriteAt(blankPage[:], int64(o.allocated)); err != nil {
		return err
	}
	o.allocated += FirstStep
	return nil
}

var blankPage [FirstStep]byte

var errFull = errors.New("offset file has reached its bound")

// Close ends its use.
func (o *File) Close() error {
	return errors.Join(o.f.Unmap(o.m), o.f.Close())
}
