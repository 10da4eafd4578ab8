package offset

// Torn stores. A kill may interrupt a store into the map of an offset file, and a page may be
// written to the disk in the middle of one. Then some of the bytes are new and some are old. That
// is not damage: nothing was promised of that store yet, and what was there before is also said
// elsewhere, by the other slot or by the other one of two checkpoints.

// tornSlot reports whether the slot at an offset of the file b, which does not verify, may be a
// torn store. Then the other slot is sound, and the bytes that both have in common are either
// complete or not yet written. These are what never changes, and the high halves of numbers.
func tornSlot(b []byte, at int) bool {
	s, is, _, err := readSlot(b, slotSpacing-at)
	if is == broken || err != nil {
		return false
	}
	var other [slotSize]byte
	s.encode(other[:])
	for i, c := range b[at:][:slotSize] {
		numbers := i >= 24 && i < 48 // generation, head and bytes
		common := i < 12 || i >= 16 && i < 24 || i >= 48 && i < 64 || numbers && i%8 >= 4
		if common && c != other[i] && c != 0 {
			return false
		}
	}
	return true
}

// tornCheckpoint reports whether an entry that does not verify is one of two checkpoints that are
// written in turn.
func (o *File) tornCheckpoint(at int) bool {
	if kind(o.m[at+entrySize-1]) != checkpoint {
		return false
	}
	for _, beside := range []int{at - entrySize, at + entrySize} {
		if beside < entriesAt || beside+entrySize > o.allocated {
			continue
		}
		if e, is, _ := o.entry(beside); is != broken && e.kind == checkpoint {
			return true
		}
	}
	return false
}
