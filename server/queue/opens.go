package queue

// Which reads are open: each has a place here, so that ending one twice is noticed, even when the
// item is open again for somebody else.

import (
	"errors"
	"slices"
)

// ErrNotOpen is for an open read that was ended before, by Confirm, Return or Drop.
var ErrNotOpen = errors.New("the item is not open: it was confirmed, returned or dropped before")

// opens are the open reads of a queue. Places are used again, so they cost nothing once there have
// been as many. The zero value has none.
type opens struct {
	n      int // open reads
	places []openPlace
	free   uint32 // the first free place, counted from 1; 0: none
	uses   uint16 // goes up with each open read
}

// openPlace has one open read, or is free.
type openPlace struct {
	seq  uint64 // of the item; 0: free
	next uint32 // if free: the next one, counted from 1; 0: none
	use  uint16
}

// ticket is the place of an open read, for this one use of it.
type ticket struct {
	place uint32
	use   uint16
}

// add begins an open read of an item.
func (o *opens) add(seq uint64) ticket {
	if o.free == 0 {
		o.places = append(o.places, openPlace{})
		o.free = uint32(len(o.places))
	}
	t := ticket{o.free - 1, o.uses}
	p := &o.places[t.place]
	o.free = p.next
	*p = openPlace{seq: seq, use: t.use}
	o.uses++
	o.n++
	return t
}

// has reports whether an open read has not ended.
func (o *opens) has(t ticket, seq uint64) bool {
	return int(t.place) < len(o.places) && o.places[t.place].seq == seq &&
		o.places[t.place].use == t.use
}

// hasSeq reports whether an item is open. It looks at all that are.
func (o *opens) hasSeq(seq uint64) bool {
	return slices.ContainsFunc(o.places, func(p openPlace) bool { return p.seq == seq })
}

// remove ends an open read. It is false if that was ended before.
func (o *opens) remove(t ticket, seq uint64) bool {
	if !o.has(t, seq) {
		return false
	}
	p := &o.places[t.place]
	*p = openPlace{next: o.free}
	o.free = t.place + 1
	o.n--
	if o.n == 0 && len(o.places) > manyOpen {
		o.places, o.free = nil, 0
	}
	return true
}

// manyOpen is how many places a queue keeps while nothing is open.
const manyOpen = 256
