package wal

// Finding items by their numbers, for a caller who remembers no more of them: in any order, also
// behind the cursor.

import (
	"errors"
	"io"

	"github.com/darner/darner/segment"
)

// Seq is the number at which the cursor is: TryNext hands out nothing below it any more.
func (c *Consumer) Seq() uint64 {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.seq
}

// TryFind returns the item with a number, wherever the cursor is. ok is false if the item is taken;
// one that is damaged is taken then, counted and logged. ErrUnready means that its segment must be
// opened: then call ReadyThen, and TryFind again. Other errors may pass.
func (c *Consumer) TryFind(seq uint64) (p Position, m Meta, ok bool, err error) {
	return c.TryFindInto(nil, seq)
}

// TryFindInto is TryFind as TryNextInto is TryNext.
func (c *Consumer) TryFindInto(
	more *More, seq uint64,
) (p Position, m Meta, ok bool, err error) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.isClosed() {
		return p, m, false, ErrClosed
	}
	if err := c.reading.err; err != nil {
		c.reading.err = nil
		return p, m, false, err
	}
	i := l.indexLocked(seq)
	if c.has(seq) || i < 0 || seq >= l.next {
		return p, m, false, nil
	}
	f := l.files[i]
	if f.seg == nil {
		c.reading.lacks, c.reading.find = true, seq
		return p, m, false, ErrUnready
	}
	r, err := c.findLocked(f, seq)
	switch {
	case err == nil:
		return f.position(&r), metaOf(&r, more), true, nil
	case errors.Is(err, ErrDamaged), errors.Is(err, segment.ErrDamaged), err == io.EOF,
		segment.Unreadable(err):
		c.lose(seq, seq)
		return p, m, false, nil
	}
	return p, m, false, err
}

// lastFound is what TryFind has found last. Its segment stays open, and most likely the next item
// is not far. Log.mu guards it.
type lastFound struct {
	f    *file
	seq  uint64
	next uint32 // offset of the record after it
}

// findLocked reads the record with a number. It is io.EOF if there is none.
func (c *Consumer) findLocked(f *file, seq uint64) (r segment.Record, err error) {
	at := f.seg.Near(seq)
	if last := &c.found; last.f == f && last.seq < seq {
		at = max(at, last.next)
	}
	next := at
	for err == nil && (next == at || r.Seq < seq) {
		at = next
		r, next, err = f.seg.Head(at)
	}
	if err != nil && err != io.EOF { // past damage
		if at, err = f.seg.Find(seq); err == nil {
			r, next, err = f.seg.Head(at)
		}
	}
	if err == nil && r.Seq != seq {
		err = io.EOF
	}
	if err == nil {
		c.found = lastFound{f, seq, next}
	}
	return r, err
}

// openFound opens the segment that TryFind lacked. It is false if that lacked none.
func (c *Consumer) openFound() bool {
	l := c.l
	l.mu.Lock()
	find := c.reading.find
	if find == 0 {
		l.mu.Unlock()
		return false
	}
	i := l.indexLocked(find)
	if l.closed || i < 0 || l.files[i].seg != nil {
		c.isReady(nil)
		l.mu.Unlock()
		return true
	}
	f := l.files[i]
	f.pins++
	path := f.path
	l.mu.Unlock()
	err := l.open(f, path)
	l.mu.Lock()
	if segment.Unreadable(err) && !f.gone && f.path == path {
		f.lost, err = true, nil
		c.lose(find, find)
	}
	c.isReady(err)
	l.mu.Unlock()
	l.release(f)
	return true
}

// EachDue calls fn for the items that are not taken and have a Due after a time, in order. What fn
// gets as More is for that call alone. If
// there may be some it reads the segments that may have them, and waits for the disk. Nobody may
// append meanwhile.
func (c *Consumer) EachDue(after int64, fn func(p Position, m Meta)) error {
	l := c.l
	l.mu.Lock()
	if l.total.due <= after {
		l.mu.Unlock()
		return nil
	}
	all := make([]uint64, 0, len(l.files))
	for _, f := range l.files {
		all = append(all, f.first)
	}
	l.mu.Unlock()
	latest := int64(0)
	var more More // for all calls of fn
	for _, first := range all {
		f, err := l.hold(Position{Seq: first, segment: first})
		if errors.Is(err, ErrGone) || segment.Unreadable(err) { // which is for the cursor to note
			continue
		}
		if err != nil {
			return err
		}
		latest = max(latest, f.seg.Totals().LatestDue)
		if f.seg.Totals().LatestDue > after {
			eachRecord(f.seg, func(r segment.Record) {
				if r.Due > after && !c.Taken(Position{Seq: r.Seq}) {
					fn(f.position(&r), metaOf(&r, &more))
				}
			})
		}
		l.release(f)
	}
	l.mu.Lock()
	l.total.due = latest // of what is still there
	l.mu.Unlock()
	l.requestCleanup() // to close them
	return nil
}

// Next is the number of the next item.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}
