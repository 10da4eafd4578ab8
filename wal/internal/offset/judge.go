package offset

// Judging a file offline: what it says, and every byte of it that is not as it should be.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/blank"
)

// ErrBlank: the file was made, and nothing was ever written to it.
var ErrBlank = errors.New("offset file is blank")

// View is one offset file, examined.
type View struct {
	State
	Log      uint64 // identity of the log; 0 while it is not known
	Damage   []Damage
	Salvaged bool // neither slot verifies: it is the state of the entries
	Lost     bool // of it something is gone that was there once: items that were taken may come again
}

// Damage is a range of an offset file that does not verify.
type Damage struct {
	From, To   int64
	Slot       bool // a slot of the head; else entries
	Stray      bool // bytes that nobody reads are not the zeros they should be
	Short      bool // the file ends here, before there is room for an entry
	Unfinished bool // as a store that was interrupted leaves it
	Gone       bool // there is nothing, where something was
}

// Judge reads an offset file of so many bytes. Errors: ErrNoSlot, ErrBlank, segment.ErrVersion, and those of the disk.
func Judge(fsys disk.FS, path string, size int64) (v *View, err error) {
	b, release, err := contents(fsys, path)
	if err != nil {
		return nil, err
	}
	defer release()
	if size == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrBlank)
	}
	v = new(View)
	if size < entriesAt {
		v.Damage = append(v.Damage, Damage{From: size, To: entriesAt, Short: true})
	}
	if err := v.judge(path, b); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *View) judge(path string, b []byte) (err error) {
	defer segment.Guard(path, debug.SetPanicOnFault(true), &err)
	for i := range 2 {
		if err := v.judgeSlot(path, b, i*slotSpacing); err != nil {
			return err
		}
	}
	o := &File{Path: path, m: b, allocated: len(b), end: entriesAt}
	if v.State, err = o.load(); err != nil {
		if errors.Is(err, ErrNoSlot) && blank.Bytes(b) {
			err = fmt.Errorf("%s: %w", path, ErrBlank)
		}
		return err
	}
	v.Salvaged, v.Log = o.salvaged, o.Log
	v.Lost = o.lost > 0
	if v.Durable > 0 {
		v.judgeBlank(b)
	}
	v.judgeEntries(o)
	return nil
}

// judgeBlank notes slots without a byte, of a file that had both.
func (v *View) judgeBlank(b []byte) {
	for at := int64(0); at < entriesAt; at += slotSpacing {
		if blank.Bytes(b[at:][:slotSize]) {
			v.Damage = append(v.Damage, Damage{From: at, To: at + slotSize, Slot: true})
		}
	}
}

// judgeSlot notes what is wrong with the slot at a place, and with the bytes up to what follows it.
func (v *View) judgeSlot(path string, b []byte, at int) error {
	slot, rest := b[at:][:slotSize], b[at+slotSize:at+slotSpacing]
	sound := soundSlot(slot)
	if version := binary.LittleEndian.Uint32(slot[8:]); sound && version > offsetVersion {
		return fmt.Errorf("%s has format version %d: %w", path, version, segment.ErrVersion)
	}
	if !sound && !blank.Bytes(slot) {
		torn := tornSlot(slot, b[slotSpacing-at:][:slotSize])
		v.Damage = append(v.Damage, Damage{From: int64(at), To: int64(at + slotSize), Slot: true, Unfinished: torn})
	}
	if !blank.Bytes(rest) {
		v.Damage = append(v.Damage, Damage{From: int64(at + slotSize), To: int64(at + slotSpacing), Stray: true})
	}
	return nil
}

// judgeEntries notes the places that are neither a valid entry nor empty.
func (v *View) judgeEntries(o *File) {
	kept := entriesAt + o.kept*entrySize
	for at := entriesAt; at+entrySize <= len(o.m); at += entrySize {
		b := o.m[at:][:entrySize]
		if _, _, ok := o.entry(at); ok || blank.Bytes(b) && at >= kept {
			continue
		}
		torn := blank.Bytes(b[:4]) || at == max(o.end, kept) || o.tornCheckpoint(at)
		v.damagedEntry(Damage{From: int64(at), To: int64(at + entrySize), Unfinished: torn && !blank.Bytes(b), Gone: blank.Bytes(b)})
	}
	if len(o.m) < kept {
		v.damagedEntry(Damage{From: int64(len(o.m)), To: int64(kept), Gone: true})
	}
}

// damagedEntry notes one, with those before it of which the same is true.
func (v *View) damagedEntry(d Damage) {
	if n := len(v.Damage); n > 0 {
		last := &v.Damage[n-1]
		if !last.Slot && !last.Stray && !last.Short && last.To == d.From && last.Unfinished == d.Unfinished && last.Gone == d.Gone {
			last.To = d.To
			return
		}
	}
	v.Damage = append(v.Damage, d)
}
