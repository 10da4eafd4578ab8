// Package offset keeps what a consumer of a log has taken, in memory and in its offset file. It
// reads the file, writes it as items are taken, and judges it offline.
package offset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/disk"
)

// File is one mapped offset file. Its methods need a lock that all its users share.
type File struct {
	Path  string
	Log   uint64 // identity of the log; 0 while it is not known
	Fault error  // of the last store or write that failed

	f            disk.File
	m            []byte
	salt         uint64
	generation   uint64 // of the slot that counts
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
	salvaged bool   // neither slot verifies: the state, from entries, may never have been synced
	flips    []flip // what Mend writes back
	tries    int    // entries that were searched for a flipped bit
	lost     int    // slots and entries that were there once and do not verify
	torn     bool   // some place does not verify, maybe because it never got to the disk
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
	o := &File{f: f, Path: path, salt: rand.Uint64(), end: entriesAt, created: created, Log: log}
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
	blanks, torn, err := o.loadSlots(&st)
	if err != nil {
		return st, err
	}
	valid, all := 0, 0
	for at := entriesAt; at+entrySize <= o.allocated; at += entrySize {
		e, is, f := o.entry(at)
		if is == mended {
			o.flips = append(o.flips, f)
			if e.kind == none {
				continue
			}
		}
		ok := is != broken && e.kind != none
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
		o.follow(e.kind)
		st.add(e)
	}
	o.torn = o.lost+blanks+torn > 0 || all < o.entries() || valid < o.synced
	o.lost += max(0, o.synced-valid)
	if st.Durable > 0 { // a sync was over, so both slots had been written
		o.lost += blanks
	}
	o.recorded = o.synced
	o.durable, o.everSynced = st.Durable, st.Durable > 0
	st.Absorb()
	st.forgetTaken()
	return st, nil
}

// loadSlots reads what the newest slot says. If none verifies, it finds the salt. It returns how
// many slots are blank, and how many are torn.
func (o *File) loadSlots(st *State) (blanks, torn int, err error) {
	found := false
	var old error // of a slot of another format version
	for at := 0; at < entriesAt; at += slotSpacing {
		s, is, f, err := readSlot(o.m, at)
		switch {
		case err != nil:
			old = err
			o.lost++
		case is == broken && blank.Bytes(o.m[at:][:slotSize]):
			blanks++
		case is == broken && tornSlot(o.m, at):
			torn++
		case is == broken:
			o.lost++
		case !found || s.generation > o.generation:
			found = true
			o.salt, o.generation = s.salt, s.generation
			st.Head, st.Below, st.Created = s.head, s.below, s.created
			o.Log = s.log
			o.synced = int(min(s.kept, maxFile/entrySize))
		}
		if is == mended {
			o.flips = append(o.flips, f)
		}
		if rest := o.m[at+slotSize : at+slotSpacing]; !blank.Bytes(rest) {
			if i, ok := onlyBit(rest); ok {
				o.flips = append(o.flips, flip{at + slotSize + i, 0})
			}
		}
	}
	switch {
	case found: // so the other slot is no slot of another version, but damaged
	case old != nil:
		return 0, 0, fmt.Errorf("%s: %w", o.Path, old)
	case !o.salvage():
		return 0, 0, fmt.Errorf("%s: %w", o.Path, ErrNoSlot)
	}
	o.created, o.salvaged = st.Created, !found
	return blanks, torn, nil
}

// Identity returns the log that an offset file says it belongs to, 0 if it does not say. Errors are
// segment.ErrVersion and those of the disk.
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
	for at := 0; at < entriesAt; at += slotSpacing {
		s, is, _, e := readSlot(b[:], at)
		if is != broken {
			return s.log, nil
		}
		if e != nil {
			err = fmt.Errorf("%s: %w", path, e)
		}
	}
	return 0, err
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
