package offset

import "encoding/binary"

// A store that was interrupted. A kill may come in the middle of a store into an offset file's map, and
// a page may be written to the disk meanwhile: some of the bytes are new, some are what stood there.
// That is no damage. Nothing was promised of that store yet, and what stood there is said elsewhere: by
// the other slot, or the other one of two checkpoints.

// tornSlot reports whether a slot that does not verify is such a store. Then the other one is sound, and
// what both have in common is whole, or not yet written: what never changes, and the high halves of numbers.
func tornSlot(slot, other []byte) bool {
	if !soundSlot(other) {
		return false
	}
	for i, c := range slot {
		if common := i < 16 || i >= 40 && i < 56 || i < 40 && i%8 >= 4; common && c != other[i] && c != 0 {
			return false
		}
	}
	return true
}

// tornCheckpoint reports whether an entry that does not verify is one of two checkpoints that are
// written in turn.
func (o *File) tornCheckpoint(at int) bool {
	if binary.LittleEndian.Uint32(o.m[at+4:]) != entryHead {
		return false
	}
	for _, beside := range []int{at - entrySize, at + entrySize} {
		if beside < entriesAt || beside+entrySize > o.allocated {
			continue
		}
		if kind, _, ok := o.entry(beside); ok && kind == entryHead {
			return true
		}
	}
	return false
}
