package wal

// The cursor of a consumer: which item Next hands out, and what it skips on the way.

import (
	"io"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/body"
)

// Next returns the next item that is not taken. It returns each item once for as long as the log is
// open. ok is false at the end. Damaged items are skipped, counted, logged and set aside. An error
// means that a segment cannot be read now; the next call tries again.
func (c *Consumer) Next() (p Position, m Meta, ok bool, err error) {
	p, m, ok, err = c.TryNext()
	for err == ErrUnready {
		c.GetReady()
		p, m, ok, err = c.TryNext()
	}
	return p, m, ok, err
}

// TryNext is Next for callers that must not wait for the disk, nor while a great many items are
// skipped. It returns ErrUnready instead. Then call ReadyThen, and TryNext again.
func (c *Consumer) TryNext() (p Position, m Meta, ok bool, err error) {
	return c.TryNextInto(nil)
}

// TryNextInto is TryNext that uses more for the More of the item, if it has one, so that it
// allocates nothing. nil is new memory.
func (c *Consumer) TryNextInto(more *More) (p Position, m Meta, ok bool, err error) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.isClosed() {
		return p, m, false, ErrClosed
	}
	if err := c.reading.err; err != nil {
		c.reading.err = nil
		return p, m, false, err
	}
	for passed := uint32(0); c.seq < c.l.next; passed += lookCost {
		if passed >= atOnceBytes {
			return p, m, false, ErrUnready
		}
		if c.f == nil {
			if !c.seek() {
				c.reading.lacks = true
				return p, m, false, ErrUnready
			}
			continue
		}
		if c.at >= c.f.seg.Tail() {
			c.nextSegment()
			continue
		}
		if c.f.cold && c.at >= c.ahead {
			c.readAhead()
		}
		r, next, err := c.f.seg.Head(c.at)
		if err == io.EOF { // what follows are payloads that never became items
			c.at = next
			continue
		}
		if err != nil {
			c.reading.lacks = true
			return p, m, false, ErrUnready
		}
		passed += min(next-c.at, shortRecord)
		c.at = next
		if r.Seq < c.seq {
			continue
		}
		if r.Seq > c.seq {
			c.lose(c.seq, r.Seq-1)
		}
		c.seq = r.Seq + 1
		if r.Seq < c.st.Head { // taken before it was handed out
			c.jump(c.st.Head)
			continue
		}
		if x, taken := c.st.Taken.Find(r.Seq); taken {
			c.jump(x.To + 1)
			continue
		}
		p = newPosition(c.f.first, &r)
		if r.Kind == segment.KindLarge {
			p.markLarge(&r)
		}
		if !r.Mended {
			p.at |= verifiedBit
		}
		return p, metaOf(&r, more), true, nil
	}
	return p, m, false, nil
}

// position is where a record of the segment is.
func (f *file) position(r *segment.Record) Position {
	p := newPosition(f.first, r)
	if r.Kind == segment.KindLarge {
		p.markLarge(r)
	}
	return p
}

// newPosition is small enough for the compiler to make the Position where it is wanted.
func newPosition(first uint64, r *segment.Record) Position {
	return Position{
		Seq: r.Seq, Size: int64(len(r.Payload)), Flags: r.ClientFlags,
		at: r.Offset(), segment: first,
	}
}

func (p *Position) markLarge(r *segment.Record) {
	p.at |= largeBit
	p.Size = body.ItemSize(r)
}

// How much TryNext skips while it holds Log.mu: bytes of records, and the cost of looking at one,
// in bytes.
const (
	atOnceBytes = 256 << 10
	lookCost    = 128
	shortRecord = 4 << 10 // of a longer one, the payload is not looked at
)

// jump moves the cursor to seq. It uses the index if there is much to skip.
func (c *Consumer) jump(seq uint64) {
	const near = 64 // records that are walked rather than sought
	if seq > c.seq+near {
		c.f = nil
	}
	c.seq = max(c.seq, seq)
}

// nextSegment moves the cursor to the next segment. Items that the last one lacks are lost.
func (c *Consumer) nextSegment() {
	i := c.l.indexLocked(c.f.first) + 1
	end := c.l.next
	c.f = nil
	if i < len(c.l.files) {
		end = c.l.files[i].first
	}
	if end > c.seq {
		c.lose(c.seq, end-1)
		c.seq = end
	}
	c.l.requestPrepare() // to open the segment after the next one
	c.l.requestCleanup()
}

// seek finds the segment that holds c.seq, and a place in it at or before that item. It is false if
// the segment is not open.
func (c *Consumer) seek() bool {
	l := c.l
	i := l.indexLocked(c.seq)
	if i < 0 {
		begin := l.next
		if len(l.files) > 0 {
			begin = l.files[0].first
		}
		c.lose(c.seq, begin-1)
		c.seq = begin
		return true
	}
	f := l.files[i]
	if f.seg == nil {
		return false
	}
	c.f = f
	c.at, c.ahead = segment.HeaderSize, 0
	if c.seq > f.first {
		// If no record before it is found, TryNext walks there and notes the damage on the way.
		at := f.seg.Near(c.seq)
		if r, _, err := f.seg.At(at); err == nil && r.Seq <= c.seq {
			c.at = at
		}
	}
	return true
}

// readAhead has the background prepare the block after the one that the cursor is in, and mend what
// had to be rebuilt so far.
func (c *Consumer) readAhead() {
	c.ahead = c.f.seg.BlockEnd(c.at)
	c.l.requestPrepare()
	if c.f.needsMendingLocked() {
		c.l.compaction.request()
	}
}

// unreadable gives up the items of a segment that cannot be read. It returns errors that may pass.
func (c *Consumer) unreadable(i int, err error) error {
	if !segment.Unreadable(err) {
		return err
	}
	l := c.l
	end := l.next
	if i+1 < len(l.files) {
		end = l.files[i+1].first
	}
	l.log.Error("unreadable segment; its items are lost",
		"file", l.files[i].path, "items", end-c.seq, "error", err)
	l.files[i].lost = true
	c.lose(c.seq, end-1)
	c.seq = end
	return nil
}
