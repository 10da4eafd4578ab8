package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"path/filepath"

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
	Created  int64 // Unix ms
	st       offsetState
}

// NewOffsets returns the state of a consumer that has taken all below head, below bytes in all, and
// nothing else.
func NewOffsets(consumer string, head, below uint64, created int64) *Offsets {
	return &Offsets{consumer, created, offsetState{head: head, below: below, created: created, taken: newSpans()}}
}

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
	o.st.absorb()
}

// OffsetsView is one offset file, examined.
type OffsetsView struct {
	Offsets
	Damage   []OffsetDamage
	Salvaged bool // neither slot verifies: it is the state of the entries
}

// OffsetDamage is a range of an offset file that does not verify.
type OffsetDamage struct {
	From, To   int64
	Slot       bool // a slot of the head; else entries
	Stray      bool // bytes that nobody reads are not the zeros they should be
	Short      bool // the file ends here, before there is room for an entry
	Unfinished bool // as an append that was interrupted leaves it
}

// OffsetEntrySize is the size of an entry of an offset file in bytes.
const OffsetEntrySize = entrySize

// maxOffsetFile is more than any offset file grows to.
const maxOffsetFile = MaxSegmentSize

// ReadOffsets reads an offset file or a rewrite. Errors: ErrNoOffsets, ErrBlankOffsets, ErrVersion,
// and those of the disk.
func (in *Inspection) ReadOffsets(f FileInfo) (*OffsetsView, error) {
	path := in.Path(f)
	b, err := readOffsetFile(in.fs, path)
	if err != nil {
		return nil, err
	}
	if f.Size == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrBlankOffsets)
	}
	o := &offsets{path: path, m: b, allocated: len(b), end: entriesAt}
	v := &OffsetsView{Offsets: Offsets{Consumer: f.Consumer()}}
	if f.Size < entriesAt {
		v.Damage = append(v.Damage, OffsetDamage{From: f.Size, To: entriesAt, Short: true})
	}
	for i := range 2 {
		sound, version := judgeSlot(b[i*slotSpacing:][:slotSize])
		if version > offsetVersion {
			return nil, fmt.Errorf("%s has format version %d: %w", path, version, ErrVersion)
		}
		if !sound && !isZero(b[i*slotSpacing:][:slotSize]) {
			v.Damage = append(v.Damage, OffsetDamage{From: int64(i * slotSpacing), To: int64(i*slotSpacing + slotSize), Slot: true})
		}
		if !isZero(b[i*slotSpacing+slotSize : (i+1)*slotSpacing]) {
			v.Damage = append(v.Damage, OffsetDamage{From: int64(i*slotSpacing + slotSize), To: int64((i + 1) * slotSpacing), Stray: true})
		}
	}
	v.st, err = o.load()
	switch {
	case errors.Is(err, errNoSlot) && isZero(b):
		return nil, fmt.Errorf("%s: %w", path, ErrBlankOffsets)
	case err != nil:
		return nil, err
	}
	v.Salvaged = o.salvaged
	v.Created = v.st.created
	v.judgeEntries(o)
	return v, nil
}

// readOffsetFile returns a file's bytes, at least up to where entries begin.
func readOffsetFile(fsys disk.FS, path string) ([]byte, error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxOffsetFile {
		return nil, fmt.Errorf("%s: %w: %d bytes are too many", path, errNoSlot, size)
	}
	b := make([]byte, max(size, entriesAt))
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

// judgeSlot tells whether a slot is sound. The version is that of a sound one, else 0.
func judgeSlot(b []byte) (sound bool, version uint32) {
	if string(b[:8]) != offsetMagic || crc32.Checksum(b[:60], crcTable) != binary.LittleEndian.Uint32(b[60:]) {
		return false, 0
	}
	return true, binary.LittleEndian.Uint32(b[8:])
}

// judgeEntries notes the places that are neither a valid entry nor empty.
func (v *OffsetsView) judgeEntries(o *offsets) {
	for at := entriesAt; at+entrySize <= len(o.m); at += entrySize {
		b := o.m[at:][:entrySize]
		if _, _, ok := o.entry(at); ok || isZero(b) {
			continue
		}
		d := OffsetDamage{From: int64(at), To: int64(at + entrySize), Unfinished: isZero(b[:4])}
		if n := len(v.Damage); n > 0 && !v.Damage[n-1].Slot && v.Damage[n-1].To == d.From && v.Damage[n-1].Unfinished == d.Unfinished {
			v.Damage[n-1].To = d.To
			continue
		}
		v.Damage = append(v.Damage, d)
	}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// WriteOffsets puts a state in place of a consumer's offset file: a new file, synced, renamed over
// the old one, the directory synced. Killed at any point it leaves the old state or the new one. A
// rewrite that was interrupted before goes with the old file: unite it first.
func WriteOffsets(fsys disk.FS, dir string, o *Offsets) error {
	path := filepath.Join(dir, offsetName(o.Consumer))
	size := (entriesAt + entrySize*o.st.taken.tree.Len() + offsetFirstStep - 1) / offsetFirstStep * offsetFirstStep
	f, err := createOffsets(fsys, path+MendSuffix, size, o.Created)
	if err != nil {
		return err
	}
	if err = f.allocate(size); err == nil {
		f.write(&o.st)
		f.setHead(o.st.head, o.st.below) // once more, into the other slot
		err = errors.Join(f.fault, f.f.Sync())
	}
	if err = errors.Join(err, f.close()); err != nil {
		fsys.Remove(f.path)
		return err
	}
	if err := fsys.Rename(f.path, path); err != nil {
		return err
	}
	if err := fsys.SyncDir(dir); err != nil {
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
