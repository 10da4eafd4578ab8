package offset

// Writing to an offset file. Nothing here waits for the disk unless its comment says so.

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/checksum"
)

// SetHead stores the head into the older of the two slots. It needs no space. A failure shows in
// Fault.
func (o *File) SetHead(head, below uint64) {
	o.generation++
	o.recorded = o.synced
	b := o.scratch[:slotSize]
	s := slot{
		kept: uint32(o.synced), salt: o.salt, generation: o.generation,
		head: head, below: below, created: o.created, log: o.Log,
	}
	s.encode(b)
	o.put(int(o.generation&1)*slotSpacing, b)
}

// Add adds an entry. It is false if no place is allocated for it. A failure shows in Fault.
func (o *File) Add(e Entry) bool {
	if o.end+entrySize > o.allocated || o.end+entrySize > len(o.m) {
		return false
	}
	o.putEntry(o.end, e)
	o.end += entrySize
	o.follow(e.kind)
	return true
}

// follow counts the checkpoints at the end, after an entry of some kind was added.
func (o *File) follow(k kind) {
	if k != checkpoint {
		o.trailing = 0
		return
	}
	o.trailing, o.nextTrailing = min(o.trailing+1, 2), 0
}

// Checkpoint writes the head once more, so that the file does not depend on its two slots alone,
// and up to which number the log's items are durable. A file that was never synced does not say the
// latter, because after a power cut that could be true of the file and false of the log. A failure
// shows in Fault.
func (o *File) Checkpoint(head, below, durable uint64) {
	if !o.everSynced {
		durable = o.durable
	}
	if (o.checkpoint != head || o.durable != durable) && o.addCheckpoint(head, below, durable) {
		o.checkpoint, o.durable = head, durable
	}
}

// LacksCheckpoint reports whether there is no place for the next checkpoint: see Grow.
func (o *File) LacksCheckpoint() bool { return o.trailing < 2 && o.end+entrySize > o.allocated }

// addCheckpoint adds a checkpoint. If two checkpoints are at the end already, it overwrites the
// older one of these. It is false if no place is allocated for it. A failure shows in Fault.
func (o *File) addCheckpoint(head, below, durable uint64) bool {
	e := Entry{checkpoint, Span{From: durable, To: head, Bytes: below}}
	if o.trailing < 2 {
		return o.Add(e)
	}
	o.putEntry(o.end-(2-o.nextTrailing)*entrySize, e)
	o.nextTrailing = 1 - o.nextTrailing
	return true
}

func (o *File) putEntry(at int, e Entry) {
	b := o.scratch[:entrySize]
	e.encode(b, checksum.Seed(o.salt, uint32(at/8)))
	o.put(at, b)
}

// writesAfterSync is how often the file is written to after a sync, before the map is used again.
// The package segment does the same and says why.
const writesAfterSync = 1

// BeforeSync is called before a sync of the file. The sync leaves the pages of the map read-only.
func (o *File) BeforeSync() { o.toWrite, o.syncing = writesAfterSync, o.entries() }

// AfterSync is called after a sync that succeeded.
func (o *File) AfterSync() { o.everSynced, o.synced = true, max(o.synced, o.syncing) }

// MarkSynced notes that the whole file is on stable storage.
func (o *File) MarkSynced() { o.everSynced = true }

// EverSynced reports whether the whole file has been on stable storage once.
func (o *File) EverSynced() bool { return o.everSynced }

// Durable returns what the last checkpoint says of the log: all items below that number were on
// stable storage.
func (o *File) Durable() uint64 { return o.durable }

// SlotsOutdated reports whether more entries are on stable storage than the slots say. SetHead
// updates them.
func (o *File) SlotsOutdated() bool { return o.synced > o.recorded }

// Sync brings the file to stable storage, and waits for that.
func (o *File) Sync() error { return o.f.Sync() }

// End returns where the next entry goes, in bytes.
func (o *File) End() int { return o.end }

// Allocated returns how many bytes of the file have disk blocks.
func (o *File) Allocated() int { return o.allocated }

// ContinueFrom makes a new file count on from the one that it will replace.
func (o *File) ContinueFrom(old *File) { o.generation = old.generation }

func (o *File) entries() int { return (o.end - entriesAt) / entrySize }

// put stores b. On file systems that never overwrite a block in place, a store may need space all
// the same. If the store fails, an ordinary write either succeeds or reports whether the disk is
// full or the page cannot be written at all.
func (o *File) put(at int, b []byte) {
	if o.toWrite > 0 && o.f.Held() { // without a descriptor, the map costs less
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

// writeAt writes b, unless somebody cut the file short: writing would hide that.
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

// Fill writes a state into a blank file. synced says whether the caller will sync the file before
// it counts.
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

// steps rounds n up to a multiple of FirstStep.
func steps(n int) int { return (n + FirstStep - 1) / FirstStep * FirstStep }

// write puts a state into a blank file. It is false if the state does not fit. Only a file that is
// synced before it counts may say what is durable of the log.
func (o *File) write(st *State, synced bool) (ok bool) {
	durable := uint64(0)
	if synced {
		durable = st.Durable
	}
	ok = o.Add(Entry{checkpoint, Span{From: durable, To: st.Head, Bytes: st.Below}})
	st.Taken.Each(func(x Span) bool {
		ok = ok && o.Add(Range(x))
		return ok
	})
	st.notes.each(func(x note) bool {
		ok = ok && o.Add(Delivered(x.seq, x.n))
		return ok
	})
	if ok {
		if synced {
			o.synced = o.entries()
		}
		o.SetHead(st.Head, st.Below)
		o.SetHead(st.Head, st.Below) // again, for the other slot
		o.checkpoint, o.durable = st.Head, durable
	}
	return ok && o.Fault == nil
}

// Reserve allocates disk blocks for the first n bytes, as far as they are mapped.
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

// Grow makes room for some more entries, as far as the file is mapped. A taker waits for it. So it
// writes a page, for which the file system finds blocks later, instead of asking for blocks.
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

// Close unmaps and closes the file.
func (o *File) Close() error {
	return errors.Join(o.f.Unmap(o.m), o.f.Close())
}
