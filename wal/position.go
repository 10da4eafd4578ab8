package wal

import "github.com/darner/darner/segment"

// Position says where an item of a log is. It is a small value (32 bytes), valid until the item is
// taken. Callers keep the Positions of items that they have in hand; the log keeps nothing of
// these. The zero Position is no item.
type Position struct {
	Seq     uint64 // sequence number: rises from item to item, never reused
	Size    int64  // payload bytes
	Flags   uint32 // the client's flags, as given to Append
	at      uint32 // offset in the segment, a multiple of 8; the lowest bits are marks
	segment uint64 // first sequence number of the segment that holds the record
}

// Marks in Position.at. Offsets are multiples of 8, so the bits are free.
const (
	largeBit    = 1 // a large item
	verifiedBit = 2 // TryNext has verified the record just now
)

// Large reports whether the payload is in a file of its own. Then Log.Open reads it, not Log.Read.
func (p Position) Large() bool { return p.at&largeBit != 0 }

// Kept is the Position for somebody who keeps it for some time. What Next returned says that its
// record was verified just now, so that reading it at once need not do so again.
func (p Position) Kept() Position {
	p.at &^= verifiedBit
	return p
}

func (p Position) verified() bool { return p.at&verifiedBit != 0 }

func (p Position) offset() uint32 { return p.at &^ 7 }

// Meta is what a log keeps of an item besides its payload. It has four fields, which pass in
// registers: what few items have is in More.
type Meta struct {
	Flags    uint32 // opaque to the log, returned as given
	Enqueued int64  // Unix ms; 0 on Append means now
	Expires  int64  // Unix ms, 0 = never; kept, not acted upon
	More     *More  // nil for most items; it never changes
}

// More is what few items have.
type More struct {
	Fixed bool  // Expires is a time of day, not a lifetime from Enqueued on
	Due   int64 // Unix ms, 0 = at once; kept, not acted upon

	// Origin is where an item was that was moved here; nil if it was not. TryNext and Next leave it
	// out: see Log.Origin.
	Origin *Origin
}

// FixedExpiry is the More of an item whose Expires is a time of day, and nothing else.
var FixedExpiry = &More{Fixed: true}

var noMore More

// more is what there is in More.
func (m *Meta) more() *More {
	if m.More == nil {
		return &noMore
	}
	return m.More
}

// Fixed is that of More.
func (m *Meta) Fixed() bool { return m.more().Fixed }

// Due is that of More.
func (m *Meta) Due() int64 { return m.more().Due }

// Origin is that of More.
func (m *Meta) Origin() *Origin { return m.more().Origin }

// SetDue sets when the item is due, Unix ms; 0: at once.
func (m *Meta) SetDue(at int64) {
	if at != m.Due() {
		more := *m.more()
		more.Due = at
		m.setMore(more)
	}
}

// setMore is for one that may be that of most items, or of many.
func (m *Meta) setMore(more More) {
	switch more {
	case noMore:
		m.More = nil
	case *FixedExpiry:
		m.More = FixedExpiry
	default:
		m.More = &more
	}
}

// Move adds by milliseconds to the times, after the clock was set. A fixed Expires stays, and so do
// the times of the Origin.
func (m *Meta) Move(by int64) {
	m.Enqueued += by
	if due := m.Due(); due != 0 {
		m.SetDue(due + by)
	}
	if m.Expires != 0 && !m.Fixed() {
		m.Expires += by
	}
}

// flagFixed of a record is More.Fixed.
const flagFixed = 1

// keep sets in a record what an item has in More.
func (x *More) keep(r *segment.Record) {
	if x.Fixed {
		r.Flags |= flagFixed
	}
	r.Due, r.Note = x.Due, x.Origin.note()
}
