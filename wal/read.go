package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"

	"github.com/darner/darner/segment"
)

// Read appends the payload of the item at p to buf and returns the longer slice, and what the log
// keeps besides, with the item's Origin. The bytes are verified: it never returns a wrong one.
// Errors: ErrDamaged, ErrGone, ErrClosed. Use Open for a large item.
func (l *Log) Read(p Position, buf []byte) (out []byte, m Meta, err error) {
	if p.Large() {
		return buf, m, errLarge
	}
	f, err := l.hold(p)
	if err != nil {
		return buf, m, l.unread(p, err)
	}
	defer l.release(f)
	out, err = f.copyRecord(p, buf, &m)
	l.requestMend(f)
	return out, m, l.readError(p, err)
}

var errLarge = fmt.Errorf("%w: it is read with Open", ErrTooLarge)

// TryRead is Read for callers that must not wait, without the Meta. It returns ErrUnready if a file
// would have to be opened. Then call Read where waiting does no harm. It does not verify again what
// TryNext has handed out just now: see Position.Kept.
func (l *Log) TryRead(p Position, buf []byte) ([]byte, error) {
	f := l.tryHold(p)
	if f == nil {
		return buf, ErrUnready
	}
	defer l.releaseSoon(f)
	out, err := f.copyPayload(p, buf)
	l.requestMend(f)
	return out, l.readError(p, err)
}

// tryHold pins the segment that holds an item. It is nil unless the segment is open.
func (l *Log) tryHold(p Position) *file {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.holdingLocked(p)
	if p.Large() || l.closed || f == nil || f.seg == nil {
		return nil
	}
	f.pins++
	return f
}

// releaseSoon is release for callers that must not wait for the disk.
func (l *Log) releaseSoon(f *file) {
	if l.unpin(f) {
		l.background.readPool.do(func() { l.close(f) })
	}
}

// readError is an error of reading the record of an item. Damage is set aside.
func (l *Log) readError(p Position, err error) error {
	if err != nil {
		err = l.unread(p, err)
		l.noteRecord(p, err)
	}
	return err
}

// metaOf is what a record keeps, without the Origin. It puts what few have into more, or into new
// memory if that is nil.
func metaOf(r *segment.Record, more *More) Meta {
	m := Meta{Flags: r.ClientFlags, Enqueued: r.Enqueued, Expires: r.Expires}
	fixed := r.Flags&flagFixed != 0
	switch {
	case r.Due == 0 && !fixed:
	case r.Due == 0:
		m.More = FixedExpiry
	case more == nil:
		m.More = &More{Fixed: fixed, Due: r.Due}
	default:
		*more = More{Fixed: fixed, Due: r.Due}
		m.More = more
	}
	return m
}

// copyRecord copies the payload of a record, and fills m. Like all that touches a map, where any
// page may be unreadable, it does so under segment.Guard.
func (f *file) copyRecord(p Position, buf []byte, m *Meta) (out []byte, err error) {
	defer segment.Guard(f.seg.Path(), debug.SetPanicOnFault(true), &err)
	r, err := f.record(p)
	if err != nil {
		return buf, err
	}
	*m = metaOf(&r, nil)
	if len(r.Note) > 0 {
		more := *m.more()
		more.Origin = DecodeOrigin(r.Note)
		m.setMore(more)
	}
	return append(buf, r.Payload...), nil
}

// copyPayload copies the payload of a record, and verifies it unless that was done just now.
func (f *file) copyPayload(p Position, buf []byte) (out []byte, err error) {
	defer segment.Guard(f.seg.Path(), debug.SetPanicOnFault(true), &err)
	b, err := f.payload(p)
	if err != nil {
		return buf, err
	}
	return append(buf, b...), nil
}

// payload is the payload of a record, verified here or just now.
func (f *file) payload(p Position) ([]byte, error) {
	if p.verified() && !f.cold {
		if b, err := f.seg.Payload(p.offset(), p.Size); err == nil {
			return b, nil
		}
	}
	r, err := f.record(p)
	return r.Payload, err
}

// record reads the record of an item.
func (f *file) record(p Position) (r segment.Record, err error) {
	at, err := f.place(p)
	if err == nil {
		r, _, err = f.seg.At(at)
	}
	return r, f.expect(p, &r, err)
}

// head is record for callers who do not need the payload.
func (f *file) head(p Position) (r segment.Record, err error) {
	at, err := f.place(p)
	if err == nil {
		r, _, err = f.seg.Head(at)
	}
	return r, f.expect(p, &r, err)
}

// place is where the record of an item is. Compaction may have moved it, but only within the cold
// segment that replaced the old one.
func (f *file) place(p Position) (at uint32, err error) {
	if !f.cold {
		return p.offset(), nil
	}
	if at, err = f.seg.Find(p.Seq); err != nil {
		return 0, fmt.Errorf("%s: item %d is not in it: %w", f.seg.Path(), p.Seq, ErrDamaged)
	}
	return at, nil
}

// expect is an error if a record that was read is of another item.
func (f *file) expect(p Position, r *segment.Record, err error) error {
	if err == nil && r.Seq != p.Seq {
		err = fmt.Errorf("%s: at byte %d is item %d, not %d: %w",
			f.seg.Path(), r.Offset(), r.Seq, p.Seq, ErrDamaged)
	}
	return err
}

// noteRecord has a record set aside that was sound when it was handed out and is damaged now.
func (l *Log) noteRecord(p Position, err error) {
	if !errors.Is(err, ErrDamaged) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A cold one's blocks are set aside when it is examined.
	if f := l.holdingLocked(p); f != nil && !f.cold {
		from, to := p.offset(), p.offset()+uint32(segment.RecordSize(int(p.Size)))
		if r, _, err := f.seg.Head(p.offset()); err == nil { // the payload alone is damaged
			from, to = r.Extent()
		}
		l.addDamageLocked(damage{f, from, to, nil})
	}
}

// unread turns an error of reading an item into one of this package.
func (l *Log) unread(p Position, err error) error {
	switch {
	case errors.Is(err, ErrDamaged) && l.taken(p.Seq): // compaction left it out
		return fmt.Errorf("%w: item %d", ErrGone, p.Seq)
	case errors.Is(err, ErrGone), errors.Is(err, ErrClosed), errors.Is(err, ErrDamaged):
		return err
	case errors.Is(err, segment.ErrDamaged), errors.Is(err, segment.ErrFault),
		segment.Unreadable(err):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// taken reports whether every consumer has taken an item.
func (l *Log) taken(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.takenByAllLocked(seq)
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
func isExist(err error) bool    { return errors.Is(err, fs.ErrExist) }
