package wal

// Dead items: the numbers that every consumer has taken.

import (
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/offset"
)

// atOnce is how many spans are looked at while Log.mu is held.
const atOnce = 256

// eachDead calls fn, in order and without Log.mu, for the spans of [from, to) that every consumer
// has taken. It may miss what is taken meanwhile.
func (l *Log) eachDead(from, to uint64, fn func(offset.Span)) {
	var buf [atOnce]offset.Span
	for from < to {
		dead, next := l.someDead(buf[:0], from, to)
		for _, x := range dead {
			fn(x)
		}
		from = next
	}
}

// someDead appends spans from the start of [from, to), and returns where to go on.
func (l *Log) someDead(dead []offset.Span, from, to uint64) ([]offset.Span, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.consumers) == 0 {
		return dead, to
	}
	for len(dead) < cap(dead) && from < to {
		x, ok := l.deadFromLocked(from, to)
		if !ok {
			return dead, to
		}
		dead = append(dead, x)
		from = x.To + 1
	}
	return dead, from
}

// deadFromLocked returns the first run of numbers in [from, to) that every consumer has taken. Runs
// may touch: each ends where the run of some consumer ends.
func (l *Log) deadFromLocked(from, to uint64) (x offset.Span, ok bool) {
	for from < to {
		x = offset.Span{From: from, To: to - 1}
		again := false
		for _, c := range l.consumers {
			y, ok := c.takenFrom(x.From)
			if !ok || y.From >= to {
				return offset.Span{}, false
			}
			if y.From > x.From {
				from, again = y.From, true // this consumer has not taken what is before
				break
			}
			x = y.Part(x.From, min(x.To, y.To))
		}
		if !again {
			return x, true
		}
	}
	return offset.Span{}, false
}

// passDead makes a new consumer take what all others have taken: it is gone, or will be soon.
func (c *Consumer) passDead() {
	l := c.l
	first := c // whose head is the lowest
	for _, o := range l.consumers {
		if first == c || o.st.Head < first.st.Head {
			first = o
		}
	}
	if first == c {
		return
	}
	c.st.Head, c.st.Below = first.st.Head, first.st.Below
	for from := c.st.Head; ; {
		x, ok := l.deadFromLocked(from, l.next)
		if !ok {
			break
		}
		c.st.Taken.Add(x)
		from = x.To + 1
	}
	c.st.Absorb()
	c.seq, c.seen = c.st.Head, c.st.Head
}

// deletableLocked reports whether every consumer's file says that an item is taken.
func (l *Log) deletableLocked(seq uint64) bool {
	for _, c := range l.consumers {
		if x, ok := c.takenFrom(seq); !ok || x.From > seq {
			return false
		}
	}
	return len(l.consumers) > 0
}

// saveUnsaved rewrites the files of consumers that had no space to note what is taken, with the
// reserve if need be. Then those items can be deleted.
func (l *Log) saveUnsaved() {
	l.mu.Lock()
	var unsaved []*Consumer
	for _, c := range l.consumers {
		if c.unsaved && c.off != nil {
			unsaved = append(unsaved, c)
		}
	}
	l.mu.Unlock()
	for _, c := range unsaved {
		err := c.rewrite(0)
		if disk.IsFull(err) && l.background.reserve.lend() {
			err = c.rewrite(0)
			l.background.reserve.takeBack()
		}
		if err != nil && !disk.IsFull(err) {
			l.log.Warn("cannot rewrite an offset file", "consumer", c.name, "error", err)
		}
	}
}

// takenFrom returns the first run of taken numbers at or after seq. It begins at seq or later.
func (c *Consumer) takenFrom(seq uint64) (x offset.Span, ok bool) {
	if seq < c.st.Head {
		return offset.Span{From: seq, To: c.st.Head - 1}, true
	}
	if c.unsaved { // after a crash what is in memory alone comes again, and must be there
		return x, false
	}
	if x, ok = c.st.Taken.Find(seq); ok {
		return x.Part(seq, x.To), true
	}
	return c.st.Taken.From(seq)
}
