package fsck

// How the bytes of files are used: live, dead, damaged or free.

import "github.com/darner/darner/wal/inspect"

// Use says how the bytes of a segment, or of all bodies of large items, are used.
type Use struct {
	Queue   string
	File    string
	Sealed  bool
	Size    int64
	Live    int64 // bytes in items that some consumer wants
	Dead    int64 // bytes in items that were taken
	Damaged int64
	Free    int64        // bytes allocated ahead
	Map     [Cells]State // the prevailing state in each part of the file, in order
}

// Cells is the number of parts in Use.Map.
const Cells = 48

// State is how bytes are used.
type State uint8

const (
	other State = iota // header, index, footer
	alive
	dead
	damaged
	free
)

// use collects a Use.
type use struct {
	Use
	v     *inspect.SegmentView
	cells [Cells][free + 1]int64
}

func (e *examination) newUse(s *segmentFile, v *inspect.SegmentView) *use {
	u := &use{Use: Use{Queue: e.q.Name, File: s.file.Name, Sealed: v.Sealed(), Size: s.file.Size},
		v: v}
	if !v.Sealed() {
		end := v.Tail()
		for _, d := range v.Found {
			if d.Tail {
				end = d.To
			}
		}
		u.bytes(end, uint32(max(s.file.Size, int64(end))), free)
	}
	return u
}

func (u *use) add(step *inspect.Step, s State) {
	from, to := u.v.Share(step.From, step.To)
	u.bytes(from, to, s)
}

// bytes counts a range of the file.
func (u *use) bytes(from, to uint32, s State) {
	n := int64(to) - int64(from)
	switch s {
	case alive:
		u.Live += n
	case dead:
		u.Dead += n
	case damaged:
		u.Damaged += n
	case free:
		u.Free += n
	}
	for at := int64(from); at < int64(to); {
		cell := min(at*Cells/u.Size, Cells-1)
		end := min(max((cell+1)*u.Size/Cells, at+1), int64(to))
		u.cells[cell][s] += end - at
		at = end
	}
}

// shares fills the map with the share of each state, for bytes without an order.
func (u *Use) shares() {
	for i := range u.Map {
		switch at := u.Size * int64(i) / Cells; {
		case at < u.Dead:
			u.Map[i] = dead
		case at < u.Dead+u.Damaged:
			u.Map[i] = damaged
		default:
			u.Map[i] = alive
		}
	}
}

// use counts a segment's use, and passes it on.
func (e *examination) use(u *use) {
	e.row.Live += u.Live
	e.row.Dead += u.Dead + u.Damaged
	if e.o.Use == nil {
		return
	}
	for i, c := range u.cells {
		for s, n := range c {
			if n > c[u.Map[i]] {
				u.Map[i] = State(s)
			}
		}
	}
	e.o.Use(u.Use)
}
