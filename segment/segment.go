package segment

// A segment file that takes records: create, start, append, allocate ahead.

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/darner/darner/segment/disk"
)

const (
	// MaxCapacity is the largest capacity of a segment in bytes: a segment has to fit into the
	// address space of a 32-bit machine.
	MaxCapacity = 1 << 30

	// FirstExtent is how many bytes of disk a blank segment takes, unless its capacity is smaller.
	FirstExtent = 64 << 10

	minCapacity = 4 << 10
	lastExtent  = 1 << 20
)

// States of a segment. Only an active one takes records.
const (
	stateBlank uint32 = iota
	stateActive
	stateSealed
	stateReadOnly
	stateClosed
)

// Segment is one open segment file. Only one goroutine at a time may append, start, seal, trim or
// ask for totals. Reading and Extend may run at the same time as these.
type Segment struct {
	path   string
	file   disk.File
	mem    []byte // the whole map; may be touched below allocated, or below the file's size
	header Header
	key    key

	state atomic.Uint32
	tail  atomic.Uint32         // everything below is visible to readers
	index atomic.Pointer[index] // of the first records, maybe not all; nil for none

	totals Totals         // only the goroutine that appends uses totals and head
	head   [headRoom]byte // about to be written
	again  Header         // of a blank file that is used again: Salt and Use of the next header

	writable bool  // stores into the map are allowed
	created  bool  // by this process
	cold     *cold // nil unless the file is in its cold form, when nothing is mapped

	extent    sync.Mutex    // held while the file grows or shrinks, and by callers of …Locked
	allocated atomic.Int64  // a store into the map below this offset meets a disk block
	size      atomic.Int64  // of the file
	populated atomic.Uint32 // stores below this offset meet no page fault
	cool      atomic.Bool   // pages from there on may have left memory
	cleaned   atomic.Bool   // a sync has made pages read-only since the segment began
	ahead     atomic.Bool   // ReadAhead was called
	flushed   atomic.Uint32 // tail at the last Sync
	toWrite   atomic.Int32  // how many more short records to write, not store
	stale     atomic.Uint32 // bytes after the tail and below this offset need not be zeros
	sureHead  bool          // see HeaderIsSure
	released  []Body        // payloads that were given up while others came after them
	flips     atomic.Uint64 // flipped bits that were mended in memory
	met       metFlips
	opened    openedFlips // those that Open met
}

// Create makes a blank segment: a file with its first disk blocks, mapped at full capacity, with
// nothing written. The capacity is in bytes, from 4 KiB to [MaxCapacity]; it is rounded down to a
// multiple of 8. The name survives a power cut once the directory was synced.
func Create(fsys disk.FS, path string, capacity int64) (*Segment, error) {
	capacity &^= 7
	if capacity < minCapacity || capacity > MaxCapacity {
		return nil, fmt.Errorf("segment %s: capacity of %d bytes is not between %d and %d",
			path, capacity, minCapacity, MaxCapacity)
	}
	f, err := fsys.Create(path)
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	s := &Segment{
		path: path, file: f, header: Header{Capacity: capacity}, writable: true, created: true,
	}
	if err = s.Extend(HeaderSize); err == nil {
		s.mem, err = f.Map(int(capacity), true)
	}
	if err != nil {
		s.Close()
		fsys.Remove(path)
		return nil, fmt.Errorf("segment: create: %w", err)
	}
	return s, nil
}

// Start writes the header of a blank segment into the map, and from then on the segment takes
// records, after the payloads that have room in it already. Start sets the header's Capacity, and
// its Salt if that is 0. It does no I/O, unless a page cannot be stored to: see [Segment.Append].
func (s *Segment) Start(h Header) error {
	if s.state.Load() != stateBlank {
		return s.wrap("start", ErrReadOnly)
	}
	h.Capacity = s.header.Capacity
	if h.Salt == 0 {
		h.Salt = newSalt()
	}
	tail := max(HeaderSize, s.tail.Load())
	if s.again.Use > 0 {
		h.Salt, h.Use = s.again.Salt, s.again.Use
	}
	if fault := s.storeStart(h, tail); fault != nil {
		if err := s.writeStart(h, tail, fault); err != nil {
			return err
		}
	}
	s.begin(h, tail, Totals{Last: h.First - 1}, nil)
	s.state.Store(stateActive)
	return nil
}

func (s *Segment) storeStart(h Header, tail uint32) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	s.end(tail)
	s.putHeader(h)
	return nil
}

// writeStart is storeStart by writes.
func (s *Segment) writeStart(h Header, tail uint32, fault error) error {
	if tail < s.stale.Load() {
		if err := s.write(tail, make([]byte, endSize), fault); err != nil {
			return err
		}
	}
	b := h.encode()
	for _, at := range s.headerPlaces(h) {
		if err := s.write(uint32(at), b[:], fault); err != nil {
			return err
		}
	}
	return nil
}

// headerPlaces are the offsets at which a header is stored.
func (s *Segment) headerPlaces(h Header) []int64 {
	places := []int64{headerCopy, 0}
	if h.Use > 0 && s.size.Load() >= h.Capacity {
		places = append(places, h.Capacity-headerLen)
	}
	return places
}

// putHeader writes both copies, the magic first: if the process dies here, what it leaves can still
// be told from a foreign file.
func (s *Segment) putHeader(h Header) {
	b := h.encode()
	for _, at := range s.headerPlaces(h) {
		if bytes.Equal(s.mem[at:][:headerLen], b[:]) {
			continue
		}
		copy(s.mem[at:], b[:8])
		copy(s.mem[at+8:], b[8:])
	}
}

// begin sets what the segment knows about its records.
func (s *Segment) begin(h Header, tail uint32, t Totals, x index) {
	s.header, s.key, s.totals = h, h.key(), t
	s.index.Store(&x)
	s.tail.Store(tail)
}

// Append adds a record and returns its offset. When Append returns, the record is visible to
// readers and survives the death of the process. Its sequence number must be higher than all
// before. Append allocates no memory and does not wait for the disk: it stores into the map. Long
// records, and the first after a sync, go to the page cache by a write.
//
// The error is [ErrFull] if the record does not fit in the capacity or is longer than the header's
// Longest, and [ErrUnallocated] if Extend must be called first. After either, and after an error of
// a full disk ([disk.IsFull]), which some file systems report in spite of Extend, the segment is as
// it was. After [ErrFault] it should take no more records.
func (s *Segment) Append(r *Record) (off uint32, err error) {
	r.apart, r.sum = 0, 0
	off = s.tail.Load()
	end, err := s.place(r, r.Size())
	if err != nil {
		return 0, err
	}
	at := off
	if len(r.Payload) > inlineMost {
		if at, err = s.storeApart(off, r); err != nil {
			return 0, err
		}
	} else if err := s.store(off, r); err != nil {
		return 0, err
	}
	s.totals.add(r)
	s.tail.Store(uint32(end))
	return at, nil
}

// place returns where a record of so many bytes at the tail would end, if it may be stored there.
func (s *Segment) place(r *Record, size int64) (end int64, err error) {
	off := s.tail.Load()
	if s.state.Load() != stateActive {
		return 0, s.wrap("append", ErrReadOnly)
	}
	if end, err = s.room(size, int64(len(r.Payload))); err != nil {
		return 0, err
	}
	large := r.Kind == KindLarge && len(r.Payload) <= inlineMost
	switch {
	case r.Seq <= s.totals.Last && s.totals.Items > 0, r.Seq < s.key.first,
		r.Kind != KindItem && !large, len(r.Note) > MaxNote:
		return 0, s.wrapAt(off, fmt.Errorf(
			"%w: sequence number %d after %d, kind %d, a note of %d bytes",
			ErrRecord, r.Seq, s.totals.Last, r.Kind, len(r.Note)))
	case r.Seq-s.key.first > math.MaxUint32:
		return 0, ErrFull
	}
	return end, nil
}

// room returns where so many bytes at the tail would end, if there is room for them.
func (s *Segment) room(size, payload int64) (end int64, err error) {
	end = int64(s.tail.Load()) + size
	switch {
	case !s.Fits(size), payload > MaxCapacity, s.key.tooLong(uint32(payload)):
		return 0, ErrFull
	case end+endSize > s.allocated.Load():
		return 0, ErrUnallocated
	}
	return end, nil
}

// Fits reports whether records of n more bytes in all fit into the capacity.
func (s *Segment) Fits(n int64) bool {
	rest := int64(max(HeaderSize, s.tail.Load())) + n + endSize
	return rest+indexBound(rest)+FooterSize <= s.header.Capacity
}

// Extend allocates disk blocks so that records of n more bytes in all can be appended, within the
// capacity. It does nothing if there is room. Otherwise it allocates more than n, in steps that
// start at 64 KiB and double to 1 MiB; on a disk that is too full for the step it allocates only n.
// On a full disk ([disk.IsFull]) the segment stays usable up to what is allocated. Extend may run
// at the same time as Append and readers.
func (s *Segment) Extend(n int64) error {
	s.extent.Lock()
	defer s.extent.Unlock()
	if st := s.state.Load(); st != stateActive && st != stateBlank {
		return s.wrap("extend", ErrReadOnly)
	}
	have := s.allocated.Load()
	need, want := s.step(n)
	if need <= have {
		return nil
	}
	err := s.allocateLocked(have, want)
	if disk.IsFull(err) && need < want {
		err = s.allocateLocked(have, need)
	}
	return err
}

// Populate makes n bytes after the tail, as far as they are allocated, ready in memory, so that
// appending to them meets no page fault. It returns the offset up to which that holds. The next
// Sync writes these pages, whether they were filled or not. Populate may run at the same time as
// Append and readers.
func (s *Segment) Populate(n int64) uint32 {
	s.extent.Lock()
	defer s.extent.Unlock()
	var fault error
	// A fault is dropped: a store to that page reports it.
	defer Guard(s.path, debug.SetPanicOnFault(true), &fault)
	from := int64(s.populated.Load())
	if tail := int64(s.tail.Load()); tail > from { // start well ahead of a tail that moves
		from = tail + n/8
	}
	to := min(int64(s.tail.Load())+n, s.allocated.Load()) &^ (wholePages - 1)
	if st := s.state.Load(); (st == stateActive || st == stateBlank) && from < to {
		s.populated.Store(uint32(to))
		s.file.Populate(s.mem[from:to])
	}
	return s.populated.Load()
}

// wholePages is a multiple of the size of a page, on any machine.
const wholePages = 64 << 10

// step returns how far the file must be allocated for n more bytes, and how far Extend would like
// to.
func (s *Segment) step(n int64) (need, want int64) {
	have, tail, capacity := s.allocated.Load(), int64(s.tail.Load()), s.header.Capacity
	need = min(tail+n+endSize, capacity)
	step := (have + min(max(have, FirstExtent), lastExtent)) &^ (FirstExtent - 1)
	return need, min(max(step, need), capacity)
}

// Step returns how many bytes of disk Extend(n) would take: 0 if there is room.
func (s *Segment) Step(n int64) int64 {
	need, want := s.step(n)
	if have := s.allocated.Load(); need > have {
		return want - have
	}
	return 0
}

// allocateLocked gives the bytes from..to of the file disk blocks. It fails if somebody cut the
// file short: growing it again would put a hole where records were.
func (s *Segment) allocateLocked(from, to int64) error {
	if size, err := s.file.Size(); err != nil || size < int64(s.tail.Load()) {
		short := fmt.Errorf("%w: the file has only %d bytes", ErrFault, size)
		return s.wrap("allocate", errors.Join(err, short))
	}
	if err := s.file.Allocate(from, to-from); err != nil {
		if size, e := s.file.Size(); e == nil {
			s.size.Store(size)
		}
		return s.wrap("allocate", err)
	}
	s.allocated.Store(to)
	s.size.Store(max(s.size.Load(), to))
	return nil
}

// Room returns the bytes that can be appended before Extend is needed.
func (s *Segment) Room() int64 {
	return max(0, s.allocated.Load()-int64(s.tail.Load())-endSize)
}

// Tail returns the offset of the next record.
func (s *Segment) Tail() uint32 { return s.tail.Load() }

// Sealed reports whether the segment has its index and footer and never changes again.
func (s *Segment) Sealed() bool { return s.state.Load() == stateSealed }

// Header returns the header.
func (s *Segment) Header() Header { return s.header }

// Path returns the path that the segment was created or opened with.
func (s *Segment) Path() string { return s.path }

// Size returns the size of the file in bytes.
func (s *Segment) Size() int64 { return s.size.Load() }

// Last returns the highest sequence number, or the segment's first less one if there is no record.
// It must not run at the same time as Append.
func (s *Segment) Last() uint64 { return s.totals.Last }

// Totals sums up the valid records. It must not run at the same time as Append.
func (s *Segment) Totals() Totals { return s.totals }

// Sync returns when all records appended before the call are on stable storage. A failed sync is
// final: what was not synced before may be lost, even if a later Sync succeeds.
func (s *Segment) Sync() error {
	s.BeforeSync()
	err := s.writeOut()
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return s.wrap("sync", err)
	}
	return nil
}

// BeforeSync tells the segment that a sync of its file begins, by Sync or together with other
// files. The sync leaves the pages of the map read-only.
func (s *Segment) BeforeSync() {
	s.toWrite.Store(writesAfterSync)
	s.cleaned.Store(true)
	s.populated.Store(min(s.populated.Load(), s.tail.Load()))
}

// writeOut begins to write many pages ahead of a Sync. For few it is not worth its cost.
func (s *Segment) writeOut() error {
	const many = 128 << 10
	tail := s.tail.Load()
	from := s.flushed.Swap(tail)
	if from+many > tail || s.mem == nil {
		return nil
	}
	return s.file.WriteOut(s.mem[from:tail], int64(from))
}

// Trim gives back the disk blocks after the last record. Call Extend before the next Append.
func (s *Segment) Trim() error {
	s.extent.Lock()
	defer s.extent.Unlock()
	if st := s.state.Load(); st != stateActive && st != stateBlank {
		return s.wrap("trim", ErrReadOnly)
	}
	return s.truncateLocked(int64(s.tail.Load()))
}

func (s *Segment) truncateLocked(size int64) error {
	s.allocated.Store(min(s.allocated.Load(), size))
	if err := s.file.Truncate(size); err != nil {
		return s.wrap("trim", err)
	}
	s.size.Store(size)
	return nil
}

// Close unmaps and closes the file. It syncs and trims nothing. No other call may be running, and
// no payload of a record may be used any more.
func (s *Segment) Close() error {
	if s.state.Swap(stateClosed) == stateClosed {
		return nil
	}
	var err error
	if s.mem != nil {
		err = s.file.Unmap(s.mem)
		s.mem = nil
	}
	s.tail.Store(0)
	if e := s.file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return s.wrap("close", err)
	}
	return nil
}
