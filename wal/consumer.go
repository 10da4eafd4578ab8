package wal

import (
	"fmt"
	"log/slog"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// Start is where a consumer without an offset file begins.
type Start int

const (
	Oldest Start = iota // at the oldest item that some consumer has yet to take
	Newest              // after the newest item: it gets what is appended from now on
)

// Consumer is one reader of a log. It says which items it has taken for good, and its offset file
// keeps that. All exported methods may be called from any goroutine.
//
// Log.mu guards its fields, and its other methods need it held, unless they say that they take it.
type Consumer struct {
	l    *Log
	name string
	st   offset.State // what it has taken
	off  *offset.File // nil until there is something to write

	// The cursor. f is the segment that holds seq; nil if it has to be looked up.
	seq uint64 // the next sequence number to hand out
	f   *file
	at  uint32 // offset in f of the first record not yet looked at

	ahead uint32 // offset in a cold segment from which the next block should be prepared
	seen  uint64 // seq at compaction's last survey

	reading reading
	walk    walk
	found   lastFound
	warm    uint64 // the item that was read for TryFind last

	marks            int  // syncs since its file was last marked: see marksSkipped
	dirty            bool // its file awaits a sync
	unsaved          bool // its file lacks something that it has taken, because there was no space
	rewriteAt        int  // the file is rewritten once its entries take more bytes
	rewriteRequested bool // the background will rewrite or make it
	ended            bool // RemoveConsumer has ended it
}

// Consumer returns the consumer with a name, and makes it if it is new. The log's own consumer has
// the name "". A log deletes what every consumer has taken, and nothing while it has no consumer.
// When a log that has a consumer is opened again, its own consumer is made if it is missing. A new
// consumer of a log that has items is on stable storage when it is returned, which waits for the
// disk. Errors: ErrFull if there is no space for its file; ErrClosed.
func (l *Log) Consumer(name string, from Start) (*Consumer, error) {
	if !files.ValidConsumer(name) {
		return nil, fmt.Errorf("%q is not a valid consumer name: it is part of a file name", name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if c := l.consumers[name]; c != nil {
		l.ensureFilesRelocking()
		return c, nil
	}
	if from == Newest || name != "" && len(l.files) > 0 {
		l.mu.Unlock()
		defer l.mu.Lock()
		return l.join(name, from)
	}
	if name == "" && len(l.files) > 0 {
		l.log.Warn("offset file missing; redelivering every item still on disk",
			"file", l.path(files.OffsetName(name)))
	}
	c := l.registerLocked(l.newConsumerLocked(name, from))
	l.ensureFilesRelocking()
	return c, nil
}

// ensureFilesRelocking makes the consumers' files, so that no taker waits for that. A log without
// items gets them with its first segment. If they cannot be made, takers request them later. Log.mu
// is held, and released meanwhile.
func (l *Log) ensureFilesRelocking() {
	if len(l.files) == 0 || l.withoutOffsetsLocked() == nil {
		return
	}
	l.mu.Unlock()
	l.preparing.Lock()
	err := l.makeOffsets()
	l.preparing.Unlock()
	l.mu.Lock()
	if err != nil && !disk.IsFull(err) && !disk.IsTransient(err) {
		l.log.Warn("cannot make an offset file yet", "error", err)
	}
}

// registerLocked adds a consumer to the log.
func (l *Log) registerLocked(c *Consumer) *Consumer {
	l.consumers[c.name] = c
	c.loseMissing()
	return c
}

func (l *Log) newConsumerLocked(name string, from Start) *Consumer {
	c := &Consumer{l: l, name: name, st: offset.New(0, 0, l.now())}
	c.begin(from)
	c.seq, c.seen = c.st.Head, c.st.Head
	return c
}

// begin sets the head of a consumer that has taken nothing.
func (c *Consumer) begin(from Start) {
	l := c.l
	if from == Oldest && len(l.files) > 0 {
		c.st.Head, c.st.Below = l.files[0].first, l.bytesBefore(l.files[0])
	} else {
		c.st.Head, c.st.Below = l.next, l.total.bytes
	}
}

// loseMissing counts as lost what recovery found missing, even if the consumer's file was lost.
func (c *Consumer) loseMissing() {
	for _, gap := range c.l.missing.spans {
		c.lose(gap.From, gap.To)
	}
}

// Take marks an item as taken for good. The order does not matter, and taking twice is no error. It
// survives the death of the process. The item may come back after a power cut before the next sync,
// after any restart if a full disk had no space to note an item taken out of order, and after
// ErrFailed, when the offset file cannot be written.
func (c *Consumer) Take(p Position) error {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.isClosed() {
		return ErrClosed
	}
	c.take(offset.Span{From: p.Seq, To: p.Seq, Bytes: uint64(p.Size)})
	if p.Large() {
		l.uploads.taken = append(l.uploads.taken, p.Seq)
		l.requestCleanup()
	}
	return c.checkFault()
}

// checkFault makes the log fail if the offset file could not be written: from then on the state is
// in memory alone. On a full disk it only marks the consumer unsaved.
func (c *Consumer) checkFault() error {
	if c.off == nil || c.off.Fault == nil {
		return nil
	}
	fault := c.off.Fault
	c.off.Fault = nil
	if disk.IsFull(fault) {
		c.unsaved = true
		return nil
	}
	return c.l.failLocked(fault)
}

// Taken reports whether an item was taken, by Take or by SkipToEnd.
func (c *Consumer) Taken(p Position) bool {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.has(p.Seq)
}

func (c *Consumer) has(seq uint64) bool { return c.st.Has(seq) }

// SkipToEnd takes everything appended so far, in constant time.
func (c *Consumer) SkipToEnd() error {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.isClosed() {
		return ErrClosed
	}
	c.st.Taken.Clear()
	if l.next > c.st.Head {
		c.take(offset.Span{From: c.st.Head, To: l.next - 1, Bytes: l.total.bytes - c.st.Below})
	}
	c.seq, c.f = l.next, l.activeLocked()
	if c.f != nil {
		c.at = c.f.seg.Tail()
	}
	l.uploads.sweep = l.uploads.count > 0
	l.requestCleanup()
	l.checkEmptyLocked()
	return c.checkFault()
}

// Pending returns how many items are not taken, and their bytes. Items that Next has returned count
// until they are taken.
func (c *Consumer) Pending() (items, bytes int64) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.pending()
}

func (c *Consumer) pending() (items, bytes int64) {
	if c.l.next <= c.st.Head {
		return 0, 0
	}
	items = int64(c.l.next - c.st.Head - c.st.Taken.Count)
	return items, max(0, int64(c.l.total.bytes)-int64(c.st.Below)-int64(c.st.Taken.Bytes))
}

// take moves the head or adds a range, and writes it down.
func (c *Consumer) take(x offset.Span) {
	if x.To < c.st.Head {
		return
	}
	c.st.Forget(x.From, x.To)
	if x.From <= c.st.Head {
		if x.To > x.From && c.st.Taken.Count > 0 { // lost ones, with taken ones among them
			x.Bytes += c.st.Taken.BytesUpTo(x.To)
		}
		c.st.Head = x.To + 1
		c.st.Below += x.Bytes
		c.st.Absorb()
		if c.st.Head == c.l.next {
			c.st.Below = c.l.total.bytes // exact again after any damage
		}
		c.saveHead()
	} else if c.st.Taken.Add(x) {
		c.save(offset.Range(x))
		c.l.compaction.scatterLocked(x)
	}
	if c.st.Head == c.l.next {
		c.l.checkEmptyLocked()
	}
	c.dirty = true
	c.l.touchLocked()
	if len(c.l.files) > 1 && c.st.Head >= c.l.files[1].first {
		c.l.requestCleanup()
	}
}

// lose marks missing items as taken, so that they are counted once and skipped.
func (c *Consumer) lose(from, to uint64) {
	before := c.l.next - c.st.Head - c.st.Taken.Count
	c.take(offset.Span{From: max(from, c.st.Head), To: to})
	if lost := before - (c.l.next - c.st.Head - c.st.Taken.Count); lost > 0 {
		c.l.noteLost(lost)
		c.l.tellDamage(slog.LevelError, "items lost to damage",
			"consumer", c.name, "from", from, "to", to, "items", lost)
	}
}
