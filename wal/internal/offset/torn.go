package offset

import "encoding/binary"

// Torn stores. A kill may interrupt a store into the map of an offset file, and a page may be
// written to the disk in the middle of one. Then some of the bytes are new and some are old. That
// is not damage: nothing was promised of that store yet, and what was there before is also said
// elsewhere, by the other slot or by the other one of two checkpoints.

// tornSlot reports whether a slot that does not verify may be a torn store. Then the other slot is
// sound, and the bytes that both have in common are either complete or not yet written. These are
// what never changes, and the high halves of numbers.
func tornSlot(slot, other []byte) bool {
	if !soundSlot(other) {
		return false
	}
	for i, c := range slot {
		common := i < 16 || i >= 40 && i < 56 || i < 40 && i%8 >= 4
		if common && c != other[i] && c != 0 {
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
