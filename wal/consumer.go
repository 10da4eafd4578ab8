package wal

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/body"
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

	marks            int  // syncs that could have noted in its file what is durable
	dirty            bool // its file awaits a sync
	unsaved          bool // its file lacks something that it has taken, because there was no space
	rewriteAt        int  // the file is rewritten once its entries take more bytes
	rewriteRequested bool // the background will rewrite or make it
	ended            bool // RemoveConsumer has ended it
}

// Consumer returns the consumer with a name, and makes it if it is new. The log's own consumer has
// the name "". A log deletes what every consumer has taken, and nothing while it has no consumer. A
// log with any consumer has its own as well once it is opened again. A new consumer of a log that
// has items is on stable storage when it is returned, which waits for the disk. Errors: ErrFull if
// there is no space for its file; ErrClosed.
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
		r, next, err := c.f.seg.At(c.at)
		if err != nil {
			c.reading.lacks = true
			return p, m, false, ErrUnready
		}
		at := c.at
		c.at = next
		passed += next - at
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
		p = Position{
			Seq: r.Seq, Size: int64(len(r.Payload)), Flags: r.ClientFlags,
			at: at, segment: c.f.first,
		}
		if r.Kind == segment.KindLarge {
			p.at |= largeBit
			p.Size = body.ItemSize(&r)
		}
		return p, metaOf(r), true, nil
	}
	return p, m, false, nil
}

// How much TryNext skips while it holds Log.mu: bytes of records, and the cost of looking at one,
// in bytes.
const (
	atOnceBytes = 256 << 10
	lookCost    = 128
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
	if x.From <= c.st.Head {
		c.st.Head = x.To + 1
		c.st.Below += x.Bytes
		c.st.Absorb()
		if c.st.Head == c.l.next {
			c.st.Below = c.l.total.bytes // exact again after any damage
		}
		c.saveHead()
	} else if c.st.Taken.Add(x) {
		c.saveRange(x)
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
		c.l.stats.damaged.Add(lost)
		c.l.log.Error("items lost to damage",
			"consumer", c.name, "from", from, "to", to, "items", lost)
	}
}

// ensureFile makes the offset file if there is none. It waits for the disk under Log.mu, so it is
// for recovery.
func (c *Consumer) ensureFile() error {
	if c.off != nil {
		return nil
	}
	off, err := c.l.blankOffsets(c.name, c.live(), c.st.Created)
	if err != nil {
		return err
	}
	return c.adoptFile(off)
}

// adoptFile makes a blank file the consumer's and fills it with what is taken. After an error
// nothing is left of it.
func (c *Consumer) adoptFile(off *offset.File) error {
	if err := off.Fill(&c.st, false); err != nil {
		return errors.Join(err, off.Close(), c.l.fs.Remove(off.Path))
	}
	c.off, c.dirty, c.l.dirty.dir, c.unsaved = off, true, true, false
	c.rewriteAt = max(c.l.rewriteBound(), 2*c.live())
	return nil
}

func (c *Consumer) saveHead() {
	if c.off == nil {
		c.requestFile()
		return
	}
	c.off.SetHead(c.st.Head, c.st.Below)
}

// requestFile has the background make the file, so that no taker waits. Until then what is taken is
// in memory alone.
func (c *Consumer) requestFile() {
	c.unsaved = true
	if !c.rewriteRequested {
		c.rewriteRequested = true
		c.l.requestCleanup()
	}
}

// saveRange appends an entry. If the file has no place for it, the range is in memory alone until
// the file is rewritten, and a crash brings the items back.
func (c *Consumer) saveRange(x offset.Span) {
	if c.off == nil {
		c.requestFile()
		return
	}
	for !c.off.AddRange(x) {
		if c.l.background.reserve.lent.Load() || c.off.Grow() != nil {
			c.unsaved = true
			break
		}
	}
	c.requestRewriteIfDue()
}

// requestRewriteIfDue has the background rewrite the file once that is due.
func (c *Consumer) requestRewriteIfDue() {
	if (c.unsaved || c.off.End() >= c.rewriteAt) && !c.rewriteRequested {
		c.rewriteRequested = true
		c.l.requestCleanup()
	}
}

// checkpoint notes the head in the file, and how much of the log is durable.
func (c *Consumer) checkpoint() {
	c.off.Checkpoint(c.st.Head, c.st.Below, c.l.durable)
	c.requestRewriteIfDue()
}

// close closes the offset file, shrunk to one block if the state fits. If that fails, the file is
// as good as it was. It takes Log.mu.
func (c *Consumer) close(trim bool) error {
	if c.off == nil {
		return nil
	}
	var err error
	if trim && c.off.Allocated() > offset.FirstStep {
		err = c.rewrite(offset.FirstStep)
	}
	return errors.Join(err, c.off.Close())
}
