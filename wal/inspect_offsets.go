package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

var (
	// ErrNoOffsets: nothing of an offset file can be believed.
	ErrNoOffsets = errNoSlot

	// ErrBlankOffsets: the file was made, and nothing was ever written to it.
	ErrBlankOffsets = errors.New("offset file is blank")
)

// Offsets is what a consumer has taken, apart from any open log: as its file says, or to be written
// to one.
type Offsets struct {
	Consumer string
	Created  int64  // Unix ms
	Log      uint64 // identity of the log; 0 while it is not known
	st       offsetState
}

// NewOffsets returns the state of a consumer that has taken all below head, below bytes in all, and
// nothing else.
func NewOffsets(consumer string, head, below uint64, created int64) *Offsets {
	return &Offsets{Consumer: consumer, Created: created, st: offsetState{head: head, below: below, created: created, taken: newSpans()}}
}

// Durable is the number below which all items of the log were on stable storage once, 0 when that is not
// known.
func (o *Offsets) Durable() uint64 { return o.st.durable }

// SetDurable sets it.
func (o *Offsets) SetDurable(next uint64) { o.st.durable = next }

// Head is the number below which all is taken.
func (o *Offsets) Head() uint64 { return o.st.head }

// Below is how many bytes of payload came before Head.
func (o *Offsets) Below() uint64 { return o.st.below }

// Has reports whether an item is taken.
func (o *Offsets) Has(seq uint64) bool { return seq < o.st.head || o.st.taken.has(seq) }

// Run tells whether an item is taken, and the last of the items behind it of which the same is true.
func (o *Offsets) Run(seq uint64) (taken bool, last uint64) {
	if seq < o.st.head {
		return true, o.st.head - 1
	}
	if x, ok := o.st.taken.find(seq); ok {
		return true, x.to
	}
	last = ^uint64(0)
	o.st.taken.tree.AscendGreaterOrEqual(span{from: seq}, func(x span) bool {
		last = x.from - 1
		return false
	})
	return false, last
}

// End is the number behind everything taken.
func (o *Offsets) End() uint64 {
	if x, ok := o.st.taken.tree.Max(); ok {
		return x.to + 1
	}
	return o.st.head
}

// Take adds the numbers from to to, whose items have so many bytes of payload.
func (o *Offsets) Take(from, to, bytes uint64) {
	if from = max(from, o.st.head); from <= to {
		o.st.taken.add(span{from, to, bytes})
		o.st.absorb()
	}
}

// Ranges goes through what is taken at or above the head, in order: first and last number and bytes.
func (o *Offsets) Ranges() iter.Seq2[[2]uint64, uint64] {
	return func(yield func([2]uint64, uint64) bool) {
		o.st.taken.each(func(x span) bool { return yield([2]uint64{x.from, x.to}, x.bytes) })
	}
}

// Missing goes through the numbers of [from, to] that are not taken, as ranges in order: first and
// last.
func (o *Offsets) Missing(from, to uint64) iter.Seq2[uint64, uint64] {
	return func(yield func(from, to uint64) bool) {
		at, more := max(from, o.st.head), true
		if x, ok := o.st.taken.find(at); ok {
			if x.to >= to {
				return
			}
			at = x.to + 1
		}
		o.st.taken.tree.AscendGreaterOrEqual(span{from: at}, func(x span) bool {
			if x.from > to {
				return false
			}
			more = yield(at, x.from-1) && x.to < to
			at = x.to + 1
			return more
		})
		if more && at <= to {
			yield(at, to)
		}
	}
}

// Unite adds what another file of the same consumer says.
func (o *Offsets) Unite(other *Offsets) {
	if other.st.head > o.st.head {
		o.st.head, o.st.below = other.st.head, other.st.below
	}
	other.st.taken.each(func(x span) bool {
		o.st.taken.add(x)
		return true
	})
	o.st.durable = max(o.st.durable, other.st.durable)
	o.st.absorb()
}

// OffsetsView is one offset file, examined.
type OffsetsView struct {
	Offsets
	Damage   []OffsetDamage
	Salvaged bool // neither slot verifies: it is the state of the entries
	Lost     bool // of it something is gone that was there once: items that were taken may come again
}

// OffsetDamage is a range of an offset file that does not verify.
type OffsetDamage struct {
	From, To   int64
	Slot       bool // a slot of the head; else entries
	Stray      bool // bytes that nobody reads are not the zeros they should be
	Short      bool // the file ends here, before there is room for an entry
	Unfinished bool // as a store that was interrupted leaves it
	Gone       bool // there is nothing, where something was
}

// OffsetEntrySize is the size of an entry of an offset file in bytes.
const OffsetEntrySize = entrySize

// maxOffsetFile is more than any offset file grows to.
const maxOffsetFile = MaxSegmentSize

// ReadOffsets reads an offset file or a rewrite. Errors: ErrNoOffsets, ErrBlankOffsets, ErrVersion,
// and those of the disk.
func (in *Inspection) ReadOffsets(f FileInfo) (v *OffsetsView, err error) {
	path := in.Path(f)
	b, release, err := offsetBytes(in.fs, path)
	if err != nil {
		return nil, err
	}
	defer release()
	if f.Size == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrBlankOffsets)
	}
	v = &OffsetsView{Offsets: Offsets{Consumer: f.Consumer()}}
	if f.Size < entriesAt {
		v.Damage = append(v.Damage, OffsetDamage{From: f.Size, To: entriesAt, Short: true})
	}
	if err := v.judge(path, b); err != nil {
		return nil, err
	}
	return v, nil
}

// offsetBytes returns a file's bytes, at least up to where entries begin, until release is called.
func offsetBytes(fsys disk.FS, path string) (b []byte, release func() error, err error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, nil, err
	}
	if size > maxOffsetFile {
		return nil, nil, fmt.Errorf("%s: %w: %d bytes are too many", path, errNoSlot, size)
	}
	head := make([]byte, entriesAt) // read, not only mapped: the disk's error is wanted, not a fault
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

func (v *OffsetsView) judge(path string, b []byte) (err error) {
	defer segment.Guard(path, debug.SetPanicOnFault(true), &err)
	for i := range 2 {
		if err := v.judgeSlot(path, b, i*slotSpacing); err != nil {
			return err
		}
	}
	o := &offsets{path: path, m: b, allocated: len(b), end: entriesAt}
	if v.st, err = o.load(); err != nil {
		if errors.Is(err, errNoSlot) && isZero(b) {
			err = fmt.Errorf("%s: %w", path, ErrBlankOffsets)
		}
		return err
	}
	v.Salvaged, v.Created, v.Log = o.salvaged, v.st.created, o.log
	v.Lost = o.lost > 0
	if v.st.durable > 0 {
		v.judgeBlank(b)
	}
	v.judgeEntries(o)
	return nil
}

// judgeBlank notes slots without a byte, of a file that had both.
func (v *OffsetsView) judgeBlank(b []byte) {
	for at := int64(0); at < entriesAt; at += slotSpacing {
		if isZero(b[at:][:slotSize]) {
			v.Damage = append(v.Damage, OffsetDamage{From: at, To: at + slotSize, Slot: true})
		}
	}
}

// judgeSlot notes what is wrong with the slot at a place, and with the bytes up to what follows it.
func (v *OffsetsView) judgeSlot(path string, b []byte, at int) error {
	slot, rest := b[at:][:slotSize], b[at+slotSize:at+slotSpacing]
	sound := soundSlot(slot)
	if version := binary.LittleEndian.Uint32(slot[8:]); sound && version > offsetVersion {
		return fmt.Errorf("%s has format version %d: %w", path, version, ErrVersion)
	}
	if !sound && !isZero(slot) {
		torn := tornSlot(slot, b[slotSpacing-at:][:slotSize])
		v.Damage = append(v.Damage, OffsetDamage{From: int64(at), To: int64(at + slotSize), Slot: true, Unfinished: torn})
	}
	if !isZero(rest) {
		v.Damage = append(v.Damage, OffsetDamage{From: int64(at + slotSize), To: int64(at + slotSpacing), Stray: true})
	}
	return nil
}

// judgeEntries notes the places that are neither a valid entry nor empty.
func (v *OffsetsView) judgeEntries(o *offsets) {
	kept := entriesAt + o.kept*entrySize
	for at := entriesAt; at+entrySize <= len(o.m); at += entrySize {
		b := o.m[at:][:entrySize]
		if _, _, ok := o.entry(at); ok || isZero(b) && at >= kept {
			continue
		}
		torn := isZero(b[:4]) || at == max(o.end, kept) || o.tornCheckpoint(at)
		v.damagedEntry(OffsetDamage{From: int64(at), To: int64(at + entrySize), Unfinished: torn && !isZero(b), Gone: isZero(b)})
	}
	if len(o.m) < kept {
		v.damagedEntry(OffsetDamage{From: int64(len(o.m)), To: int64(kept), Gone: true})
	}
}

// damagedEntry notes one, with those before it of which the same is true.
func (v *OffsetsView) damagedEntry(d OffsetDamage) {
	if n := len(v.Damage); n > 0 {
		last := &v.Damage[n-1]
		if !last.Slot && !last.Stray && !last.Short && last.To == d.From && last.Unfinished == d.Unfinished && last.Gone == d.Gone {
			last.To = d.To
			return
		}
	}
	v.Damage = append(v.Damage, d)
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// writeTo makes a file of a state, durably, or replaces one.
func (o *Offsets) writeTo(fsys disk.FS, path string) error {
	f, err := createOffsets(fsys, path+MendSuffix, fullBlocks(o.st.size()), o.Created, o.Log)
	if err != nil {
		return err
	}
	if err := errors.Join(f.writeDurably(&o.st), f.close()); err != nil {
		fsys.Remove(f.path)
		return err
	}
	if err := fsys.Rename(f.path, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// WriteOffsets puts a state in place of a consumer's offset file: a new file, synced, renamed over
// the old one, the directory synced. Killed at any point it leaves the old state or the new one. A
// rewrite that was interrupted before goes with the old file: unite it first.
func WriteOffsets(fsys disk.FS, dir string, o *Offsets) error {
	path := filepath.Join(dir, offsetName(o.Consumer))
	if err := o.writeTo(fsys, path); err != nil {
		return err
	}
	if err := fsys.Remove(path + rewriteSuffix); err != nil {
		if isNotExist(err) {
			return nil
		}
		return err
	}
	return fsys.SyncDir(dir)
}
