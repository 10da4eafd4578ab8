package wal

// What has expired: found wherever it stands, by reading only the segments that may have some of
// it. Each segment knows when its first record expires, and how old its oldest is; a sealed one
// says so in its footer.

import (
	"io"
	"math"

	"github.com/darner/darner/segment"
)

// times say of the records of a segment that are not known to be taken when the first one expires,
// and when the oldest was put. Log.mu guards them.
type times struct {
	known           bool
	expires, oldest int64  // Unix ms; 0: no record
	revisits        uint32 // how often Revisit was called
}

func (t *times) add(enqueued, expires int64) {
	t.oldest = earlier(t.oldest, enqueued)
	t.expires = earlier(t.expires, expires)
}

// earlier is the earlier of two times, of which 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// reach says which records count as expired: those that expire at a time or before, and those that
// were put at another or before.
type reach struct{ expires, put int64 }

func (r reach) has(enqueued, expires int64) bool {
	return expires != 0 && expires <= r.expires || enqueued <= r.put
}

func (r reach) hasSome(t times) bool {
	return t.expires != 0 && t.expires <= r.expires || t.oldest != 0 && t.oldest <= r.put
}

// Expires returns when the first item expires that is not taken, or a moment when something may
// have expired, in Unix ms; 0: none does. An item expires at its Expires and, if maxAge is not 0,
// so many ms after it was put.
func (c *Consumer) Expires(maxAge int64) (at int64) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.total.expiring && maxAge == 0 || c.st.Head >= l.next {
		return 0
	}
	for i := max(0, l.indexLocked(c.st.Head)); i < len(l.files); i++ {
		if f := l.files[i]; !f.times.known {
			return 1
		} else {
			at = earlier(at, f.times.expires)
			if maxAge != 0 && f.times.oldest != 0 {
				at = earlier(at, f.times.oldest+maxAge)
			}
		}
	}
	return at
}

// RevisitAfter is after how many ms EachExpired comes again to an item that stays. It comes at once
// if its times are that much later.
const RevisitAfter = 10_000

// Revisit has EachExpired come to an item at once that was left.
func (c *Consumer) Revisit(p Position) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := l.indexLocked(p.Seq); i >= 0 {
		l.files[i].times.expires = 1
		l.files[i].times.revisits++
	}
}

// EachExpired calls fn for the items that are not taken and whose Expires is at a time or before,
// or that were put at another time or before, in order from a number on. What fn gets as More is
// for that call alone. fn says whether the item stays, and whether to go on. EachExpired returns
// the number to go on from; 0 at the end. It waits for the disk. What cannot be read is passed
// over, which is for the cursor to note.
func (c *Consumer) EachExpired(
	expires, put int64, from uint64, fn func(Position, Meta) (stays, more bool),
) (next uint64, err error) {
	r, walked := reach{expires, put}, false
	defer func() {
		if walked {
			c.l.requestCleanup() // which closes what nobody else reads
		}
	}()
	for {
		c.finishWalk(from)
		f, err := c.nextExpired(r, from)
		if f == nil || err != nil {
			return 0, err
		}
		walked = true
		next, more := c.walkExpired(f, r, from, fn)
		c.l.release(f)
		if !more {
			return next, nil
		}
		from = next
	}
}

// nextExpired returns the first segment from a number on that may have some, pinned and open; nil
// if none does.
func (c *Consumer) nextExpired(r reach, from uint64) (*file, error) {
	l := c.l
	for {
		l.mu.Lock()
		if c.isClosed() {
			l.mu.Unlock()
			return nil, ErrClosed
		}
		f := c.afterLocked(from)
		switch {
		case f == nil, !l.total.expiring && r.put <= 0:
			l.mu.Unlock()
			return nil, nil
		case f.times.known && !r.hasSome(f.times):
			from = l.nextFirstLocked(f)
			l.mu.Unlock()
		case f.times.known:
			path := f.path
			if _, err := l.pinAndUnlock(f); err == nil {
				return f, nil
			} else if !segment.Unreadable(err) {
				return nil, err
			}
			l.forgetTimes(f, path)
		default:
			f.pins++
			path := f.path
			l.mu.Unlock()
			err := l.learnTimes(f, path)
			l.release(f)
			if err != nil {
				return nil, err
			}
		}
	}
}

// afterLocked is the first segment with a number that counts, at or after another one.
func (c *Consumer) afterLocked(from uint64) *file {
	l := c.l
	from = max(from, c.st.Head)
	if from >= l.next {
		return nil
	}
	if i := l.indexLocked(from); i >= 0 {
		return l.files[i]
	}
	if len(l.files) > 0 {
		return l.files[0]
	}
	return nil
}

// learnTimes reads what the footer of a segment says that nobody has opened yet. An error may pass.
func (l *Log) learnTimes(f *file, path string) error {
	seg, _, err := l.openOwn(path, segment.OpenOptions{First: f.first})
	if segment.Unreadable(err) {
		l.forgetTimes(f, path)
		return nil
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	if !f.times.known {
		f.setTimesLocked(seg.Totals())
	}
	l.mu.Unlock()
	if err := seg.Close(); err != nil {
		l.log.Warn("cannot close a segment", "file", path, "error", err)
	}
	return nil
}

func (f *file) setTimesLocked(t segment.Totals) {
	f.times = times{known: true, expires: t.EarliestExpiry, oldest: t.Oldest}
}

// forgetTimes passes over a segment that cannot be read under a name, unless it has another by now:
// the cursor will find out.
func (l *Log) forgetTimes(f *file, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.path == path {
		f.times = times{known: true}
	}
}

// walk is where EachExpired stopped in a segment, and what it has left there. Log.mu guards it.
type walk struct {
	f    *file
	next uint64
	left times
}

// walkExpired goes through a segment. more: it came to the end, and next is in the next segment.
func (c *Consumer) walkExpired(
	f *file, r reach, from uint64, fn func(Position, Meta) (stays, more bool),
) (next uint64, more bool) {
	at, left := c.beginWalk(f, from)
	var rest More // for all calls of fn
	for {
		rec, to, err := f.seg.Head(at)
		switch {
		case err == io.EOF:
			if next, ends := c.endWalk(f, left, to); ends {
				return next, true
			}
			at = to
			continue
		case err != nil:
			if at = f.seg.NextValid(at); at >= f.seg.Tail() {
				next, _ := c.endWalk(f, left, at)
				return next, true
			}
			continue
		}
		if at = to; rec.Seq < from {
			continue
		}
		if !r.has(rec.Enqueued, rec.Expires) {
			left.add(rec.Enqueued, rec.Expires)
			continue
		}
		p := f.position(&rec)
		if c.Taken(p) {
			if !c.l.taken(rec.Seq) { // another consumer has it yet to take
				left.add(rec.Enqueued, rec.Expires)
			}
			continue
		}
		stays, goOn := fn(p, metaOf(&rec, &rest))
		if stays {
			left.addAgain(r, rec.Enqueued, rec.Expires)
		} else if !c.l.taken(rec.Seq) {
			left.add(rec.Enqueued, rec.Expires)
		}
		if !goOn {
			c.l.mu.Lock()
			c.walk = walk{f: f, next: rec.Seq + 1, left: left}
			c.l.mu.Unlock()
			return rec.Seq + 1, false
		}
	}
}

// beginWalk returns where to begin, and what was left before that. What is left is not known if
// the walk begins in the middle.
func (c *Consumer) beginWalk(f *file, from uint64) (at uint32, left times) {
	l := c.l
	l.mu.Lock()
	left.known, left.revisits = true, f.times.revisits
	switch {
	case c.walk.f == f && c.walk.next == from:
		left = c.walk.left
	case from > max(f.first, c.st.Head):
		left.known = false
	}
	from = max(from, c.st.Head)
	c.walk = walk{}
	l.mu.Unlock()
	if from > f.first {
		return f.seg.Near(from), left
	}
	return segment.HeaderSize, left
}

// finishWalk ends a walk that stopped after the last record of a segment.
func (c *Consumer) finishWalk(from uint64) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	f := c.walk.f
	if f != nil && c.walk.next == from && from >= min(l.nextFirstLocked(f), l.next) {
		f.times, c.walk = c.walk.left, walk{}
	}
}

// addAgain adds a record that has expired and stays: the next look at it comes later.
func (t *times) addAgain(r reach, enqueued, expires int64) {
	if expires != 0 && expires <= r.expires {
		expires = r.expires + RevisitAfter
	}
	if enqueued <= r.put {
		enqueued = r.put + RevisitAfter
	}
	t.add(enqueued, expires)
}

// endWalk notes what is left in a segment that was walked from the first record that counts. It is
// false if more came meanwhile.
func (c *Consumer) endWalk(f *file, left times, at uint32) (next uint64, ends bool) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if at < f.seg.Tail() {
		return 0, false
	}
	if left.known && left.revisits == f.times.revisits { // else what was left may be due
		f.times = left
	}
	return l.nextFirstLocked(f), true
}

// nextFirstLocked is the first number of the segment after f, or one that no item has.
func (l *Log) nextFirstLocked(f *file) uint64 {
	if i := l.indexLocked(f.first) + 1; i < len(l.files) {
		return l.files[i].first
	}
	return math.MaxUint64
}
