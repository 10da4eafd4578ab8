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
// one that is damaged is taken then, counted and logged. ErrUnready means that it has to be read
// from the disk first, since it is not near what was found before: then call ReadyThen, and TryFind
// again. Other errors may pass.
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
	if f.seg == nil || !c.isWarmLocked(f, seq) {
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

// isWarmLocked reports whether an item is likely to be in memory: it was just written, read for
// TryFind, or is not far after what that has found last.
func (c *Consumer) isWarmLocked(f *file, seq uint64) bool {
	const near = 64
	last := &c.found
	return f == c.l.activeLocked() || c.warm == seq ||
		last.f == f && last.seq < seq && seq-last.seq <= near
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

// openFound opens the segment that TryFind lacked, and reads the item. It is false if it lacked
// none.
func (c *Consumer) openFound() bool {
	l := c.l
	l.mu.Lock()
	find := c.reading.find
	if find == 0 {
		l.mu.Unlock()
		return false
	}
	i := l.indexLocked(find)
	if l.closed || i < 0 {
		c.isReady(nil)
		l.mu.Unlock()
		return true
	}
	f := l.files[i]
	f.pins++
	isOpen, path := f.seg != nil, f.path
	l.mu.Unlock()
	var err error
	if !isOpen {
		err = l.open(f, path)
	}
	if err == nil {
		if at, e := f.seg.Find(find); e == nil { // what is wrong with it TryFind will see
			f.seg.At(at)
		}
	}
	l.mu.Lock()
	c.warm = find
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
