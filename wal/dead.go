package wal

// What nobody wants any more: the numbers that every consumer has taken.

import (
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/offset"
)

// atOnce is how many spans are looked at in one hold of the lock.
const atOnce = 256

// eachDead calls fn, in order and without the lock, for the spans of [from, to) that every consumer has
// taken. What is taken meanwhile may be missing: it only grows.
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

// someDead appends spans from the beginning of [from, to), and tells where to go on.
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

// deadFromLocked returns the first run of numbers in [from, to) that every consumer has taken. Where one
// ends for one consumer the next begins, so runs may touch.
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
				from, again = y.From, true // nobody else need be asked about what is before
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

// passDead has a new consumer take what every other one has taken: it is gone, or about to go. Log.mu is held.
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

// deletableLocked reports that every consumer's file says that an item is taken. Log.mu is held.
func (l *Log) deletableLocked(seq uint64) bool {
	for _, c := range l.consumers {
		if x, ok := c.takenFrom(seq); !ok || x.From > seq {
			return false
		}
	}
	return len(l.consumers) > 0
}

// saveUnsaved rewrites the files of consumers that had no room to note what is taken, with the reserve if need
// be: then it can be deleted.
func (l *Log) saveUnsaved() {
	l.mu.Lock()
	var behind []*Consumer
	for _, c := range l.consumers {
		if c.unsaved && c.off != nil {
			behind = append(behind, c)
		}
	}
	l.mu.Unlock()
	for _, c := range behind {
		err := c.rewrite(0)
		if disk.IsFull(err) && l.background.reserve.lend() {
			err = c.rewrite(0)
			l.background.reserve.takeBack()
		}
		if err != nil && !disk.IsFull(err) {
			l.log.Warn("cannot rewrite an offset file", "queue", l.name(), "consumer", c.name, "error", err)
		}
	}
}

// takenFrom returns the first run of numbers at or behind seq that are taken for good, cut off below it.
func (c *Consumer) takenFrom(seq uint64) (x offset.Span, ok bool) {
	if seq < c.st.Head {
		return offset.Span{From: seq, To: c.st.Head - 1}, true
	}
	if c.unsaved { // what only memory says would come again, and is not to be missing then
		return x, false
	}
	if x, ok = c.st.Taken.Find(seq); ok {
		return x.Part(seq, x.To), true
	}
	return c.st.Taken.From(seq)
}
