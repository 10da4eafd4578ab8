package offset

// Judging a file offline: what it says, and every byte of it that is not as it should be.

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// ErrBlank: the file was made, but nothing was ever written to it.
var ErrBlank = errors.New("offset file is blank")

// View is what Judge finds in an offset file.
type View struct {
	State
	Log      uint64 // identity of the log; 0 while it is not known
	Damage   []Damage
	Salvaged bool // neither slot verifies: the state is that of the entries
	Lost     bool // something that was in it once is gone, so items that were taken may come again
}

// Damage is a range of an offset file that does not verify.
type Damage struct {
	From, To   int64
	Slot       bool // it is a slot of the head; else it is entries
	Stray      bool // bytes that nobody reads, and that should be zeros
	Short      bool // the file ends here, before there is room for an entry
	Unfinished bool // it looks like a store that was interrupted
	Flipped    bool // it is a byte with a flipped bit, which costs nothing
	Gone       bool // something was there once, and now nothing is
}

// Judge reads an offset file of size bytes. Errors are ErrNoSlot, ErrBlank, segment.ErrVersion, and
// those of the disk.
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
	o := &File{Path: path, m: b, allocated: len(b), end: entriesAt}
	if v.State, err = o.load(); err != nil {
		if errors.Is(err, ErrNoSlot) && blank.Bytes(b) {
			err = fmt.Errorf("%s: %w", path, ErrBlank)
		}
		return err
	}
	v.Salvaged, v.Log = o.salvaged, o.Log
	v.Lost = o.lost > 0
	for at := 0; at < entriesAt; at += slotSpacing {
		v.judgeSlot(b, at)
	}
	v.judgeEntries(o)
	for _, f := range o.flips {
		at := int64(f.at)
		v.Damage = append(v.Damage, Damage{From: at, To: at + 1, Flipped: true})
	}
	return nil
}

// judgeSlot notes what is wrong with the slot at an offset, and with the bytes between it and what
// follows. A slot is blank only in a file that was never synced.
func (v *View) judgeSlot(b []byte, at int) {
	d := Damage{From: int64(at), To: int64(at + slotSize), Slot: true}
	_, is, _, _ := readSlot(b, at)
	isBlank := blank.Bytes(b[at:][:slotSize])
	if is == broken && (!isBlank || v.Durable > 0) {
		d.Unfinished = !isBlank && tornSlot(b, at)
		v.Damage = append(v.Damage, d)
	}
	rest := b[at+slotSize : at+slotSpacing]
	if _, flipped := onlyBit(rest); !flipped && !blank.Bytes(rest) {
		v.Damage = append(v.Damage, Damage{
			From: int64(at + slotSize), To: int64(at + slotSpacing), Stray: true,
		})
	}
}

// judgeEntries notes the places that are neither a valid entry nor empty.
func (v *View) judgeEntries(o *File) {
	synced := entriesAt + o.synced*entrySize
	for at := entriesAt; at+entrySize <= len(o.m); at += entrySize {
		b := o.m[at:][:entrySize]
		e, is, _ := o.entry(at)
		empty := blank.Bytes(b) || is == mended && e.kind == none
		if is != broken && !empty || empty && at >= synced {
			continue
		}
		torn := blank.Bytes(b[:checksum.Size]) || at == max(o.end, synced) || o.tornCheckpoint(at)
		v.addEntries(Damage{
			From: int64(at), To: int64(at + entrySize), Unfinished: torn && !empty, Gone: empty,
		})
	}
	if len(o.m) < synced {
		v.addEntries(Damage{From: int64(len(o.m)), To: int64(synced), Gone: true})
	}
}

// addEntries adds damaged entries, in one range with those before if these are damaged alike.
func (v *View) addEntries(d Damage) {
	if n := len(v.Damage); n > 0 {
		last := &v.Damage[n-1]
		entries := !last.Slot && !last.Stray && !last.Short
		if entries && last.To == d.From && last.Unfinished == d.Unfinished && last.Gone == d.Gone {
			last.To = d.To
			return
		}
	}
	v.Damage = append(v.Damage, d)
}
