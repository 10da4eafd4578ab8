package wal

// Counting bytes again where a power cut took records. The offset files know how many bytes were
// appended before the head, and the segments no longer do: what is left of them adds up to less.

import (
	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/offset"
)

// recountBytes has the totals say how many bytes there are. It reads segments that were not sealed,
// if records are missing in them.
func (l *Log) recountBytes() {
	tail := l.unsealedFiles()
	if len(tail) == 0 || !l.lacksRecords(tail) {
		return
	}
	most := l.total.bytes
	appended := make(map[*Consumer]uint64, len(l.consumers)) // as each would have it
	for _, c := range l.consumers {
		appended[c] = c.appendedBytes(tail)
		most = max(most, appended[c])
	}
	l.total.bytes = most
	for c, n := range appended {
		if n < most {
			c.st.Below += most - n
			c.saveHead()
		}
	}
}

// unsealedFiles are the last files, as far as they are not sealed.
func (l *Log) unsealedFiles() []*file {
	i := len(l.files)
	for i > 0 && l.files[i-1].seg != nil && !l.files[i-1].seg.Sealed() {
		i--
	}
	return l.files[i:]
}

// lacksRecords reports whether numbers have no record, or a header that was made again does not
// know what was before.
func (l *Log) lacksRecords(tail []*file) bool {
	end := tail[0].first
	for _, f := range tail {
		h, t := f.seg.Header(), f.seg.Totals()
		if f.first != end || t.Items != t.Last+1-f.first || h.First > 1 && h.BytesBefore == 0 {
			return true
		}
		end = t.Last + 1
	}
	for _, c := range l.consumers {
		if _, ok := c.takenFrom(max(end, c.st.Head)); ok || c.st.Head < l.files[0].first {
			return true
		}
	}
	return false
}

// appendedBytes is how many bytes must have been appended to the log, if what a consumer says of
// those that it has taken is right, and the others are those that are there.
func (c *Consumer) appendedBytes(tail []*file) (n uint64) {
	first := tail[0]
	if c.st.Head >= first.first || first == c.l.files[0] {
		n = c.st.Below + c.st.Taken.Bytes
	} else if n = first.seg.Header().BytesBefore; n == 0 { // its header was made again
		return c.l.total.bytes
	} else {
		c.st.Taken.Each(func(x offset.Span) bool {
			if x.From >= first.first {
				n += x.Bytes
			}
			return true
		})
	}
	for _, f := range tail {
		eachRecord(f.seg, func(r segment.Record) {
			if !c.has(r.Seq) {
				n += uint64(body.ItemSize(&r))
			}
		})
	}
	return n
}
