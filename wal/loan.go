package wal

// Loans: payloads that are read where they lie, and not copied.

import (
	"runtime/debug"

	"github.com/darner/darner/segment"
)

// Loan is an item's payload or a part of it, verified, in memory that nobody changes, reuses or
// unmaps before Release. As a rule it lies in the map of a file, which stays on the disk as long,
// even if it is deleted. So a loan takes no memory, but may take the space of a segment. A Loan is
// a small value. The zero Loan is empty, and one made of a Payload alone needs no Release.
type Loan struct {
	Payload []byte // not to be written to

	l    *Log    // nil: nobody needs to know of the end
	f    *file   // pinned, if it is that of a record
	body *Body   // else
	own  *[]byte // that it lies in, if that is no map
}

// TryBorrow lends the payload of the item at p. It never waits: the errors are those of TryRead. A
// page that was verified may be gone from memory when it is used, and the disk fail to bring it
// back: so let the system copy the payload, by a write, or copy it with CopyAt.
func (l *Log) TryBorrow(p Position) (Loan, error) {
	f := l.tryHold(p)
	if f == nil {
		return Loan{}, ErrUnready
	}
	return l.lend(f, p)
}

// Borrow is TryBorrow that opens the segment if need be, and waits for the disk. The errors are
// those of Read.
func (l *Log) Borrow(p Position) (Loan, error) {
	if p.Large() {
		return Loan{}, errLarge
	}
	f, err := l.hold(p)
	if err != nil {
		return Loan{}, l.unread(p, err)
	}
	return l.lend(f, p.Kept())
}

// lend lends from a pinned segment. Blocks of a cold one are in memory that is never reused, so
// they need no pin.
func (l *Log) lend(f *file, p Position) (Loan, error) {
	b, err := f.guardedPayload(p)
	if err == nil && !f.cold {
		l.lent.Add(1)
		return Loan{Payload: b, l: l, f: f}, nil
	}
	l.requestMend(f)
	l.releaseSoon(f)
	return Loan{Payload: b}, l.readError(p, err)
}

// guardedPayload is payload under segment.Guard.
func (f *file) guardedPayload(p Position) (b []byte, err error) {
	defer segment.Guard(f.seg.Path(), debug.SetPanicOnFault(true), &err)
	return f.payload(p)
}

// Lent reports whether loans of the log's files are out. A log that is closed meanwhile keeps these
// open, but who opens it again may change what is in them.
func (l *Log) Lent() bool { return l.lent.Load() > 0 }

// Release ends the loan. It does not wait. Call it once.
func (b *Loan) Release() {
	if b.l != nil {
		b.l.lent.Add(-1)
	}
	switch {
	case b.f != nil:
		b.l.releaseSoon(b.f)
	case b.body != nil:
		b.body.endLoan(b.own)
	}
	*b = Loan{}
}

// Mapped reports whether the payload lies in a map. Otherwise it is in memory, and may be a part of
// a block that is kept with it.
func (b *Loan) Mapped() bool { return b.l != nil && b.own == nil }

// CopyAt copies the payload from an offset on, as much as dst takes. It fails if the disk does not
// bring back what was verified.
func (b *Loan) CopyAt(dst []byte, from int) (n int, err error) {
	if b.Mapped() {
		defer segment.Guard(b.l.dir, debug.SetPanicOnFault(true), &err)
	}
	return copy(dst, b.Payload[from:]), nil
}
