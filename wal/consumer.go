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

// Start says where a consumer without an offset file begins.
type Start int

const (
	Oldest Start = iota // at the oldest item there is: it gets all that some other consumer has yet to take
	Newest              // behind the newest: it gets what is appended from now on
)

// Consumer is one reader of a log that says what it has taken for good. Each name has its own
// offset file. All methods may be called from any goroutine.
//
// Its state is guarded by Log.mu.
type Consumer struct {
	l    *Log
	name string
	st   offset.State // what is taken
	off  *offset.File // nil until there is something to keep

	// The cursor: f is the segment that holds seq, nil when it has to be looked up.
	seq uint64 // the next sequence number to hand out
	f   *file
	at  uint32 // offset in f of the first record not yet looked at

	ahead uint32 // of a cold segment: offset from which the block behind is to be got ready
	seen  uint64 // seq when compaction last looked

	reading reading

	marks            int  // syncs that could have noted in its file what is durable
	dirty            bool // its file awaits a sync
	unsaved          bool // something is taken that its file does not say, for want of space
	rewriteAt        int  // bytes of entries from which the file is rewritten
	rewriteRequested bool // the background is to do so
	ended            bool // by RemoveConsumer
}

// Consumer returns the consumer of that name, "" being the log's own, and makes it when it is new.
// A log deletes what every consumer has taken, and nothing while it has none. One that is opened with
// any consumer has its own as well. A new consumer of a log that has items is on stable storage when
// it is returned, which waits for the disk. Errors: ErrFull, when it has no room for it; ErrClosed.
func (l *Log) Consumer(name string, from Start) (*Consumer, error) {
	if !files.ValidConsumer(name) {
		return nil, fmt.Errorf("%q cannot be a consumer's name: it has to be part of a file name", name)
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
		l.log.Warn("a queue has no offset file: all that is on the disk comes, taken or not", "queue", l.name(), "file", l.path(files.OffsetName(name)))
	}
	c := l.registerLocked(l.newConsumerLocked(name, from))
	l.ensureFilesRelocking()
	return c, nil
}

// ensureFilesRelocking has the consumers' files made, so that no taker has to wait for that; in a log without items they are
// made with the first segment. Where they cannot be, takers have them made later. Log.mu is held, and given up
// meanwhile.
func (l *Log) ensureFilesRelocking() {
	if len(l.files) == 0 || l.withoutOffsetsLocked() == nil {
		return
	}
	l.mu.Unlock()
	l.preparing.Lock()
	err := l.makeOffsets()
	l.preparing.Unlock()
	l.mu.Lock()
	if err != nil && !disk.IsFull(err) && !isTransient(err) {
		l.log.Warn("cannot make an offset file yet", "queue", l.name(), "error", err)
	}
}

// registerLocked makes a consumer one of the log's. Log.mu is held.
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

// begin sets the head where a consumer starts that has taken nothing.
func (c *Consumer) begin(from Start) {
	l := c.l
	if from == Oldest && len(l.files) > 0 {
		c.st.Head, c.st.Below = l.files[0].first, l.bytesBefore(l.files[0])
	} else {
		c.st.Head, c.st.Below = l.next, l.total.bytes
	}
}

// loseMissing counts as lost what recovery found missing, also where the consumer's file was lost.
func (c *Consumer) loseMissing() {
	for _, gap := range c.l.missing.spans {
		c.lose(gap.From, gap.To)
	}
}

// Next hands out the next item that was not taken; each item once for as long as the log is open.
// ok is false at the end. What is damaged is skipped, counted, logged and set aside. An error
// means that a segment cannot be read at present; calling again tries again.
func (c *Consumer) Next() (p Position, m Meta, ok bool, err error) {
	p, m, ok, err = c.TryNext()
	for err == ErrUnready {
		c.GetReady()
		p, m, ok, err = c.TryNext()
	}
	return p, m, ok, err
}

// TryNext is Next for callers that must not wait: where that would wait for the disk, or pass over a great many
// items, it is ErrUnready. Call ReadyThen then, and again.
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
		if r.Seq < c.st.Head { // it moved over items that were taken before they were handed out
			c.jump(c.st.Head)
			continue
		}
		if x, taken := c.st.Taken.Find(r.Seq); taken {
			c.jump(x.To + 1)
			continue
		}
		p = Position{Seq: r.Seq, Size: int64(len(r.Payload)), Flags: r.ClientFlags, at: at, segment: c.f.first}
		if r.Kind == segment.KindLarge {
			p.at |= largeBit
			p.Size = body.ItemSize(&r)
		}
		return p, metaOf(r), true, nil
	}
	return p, m, false, nil
}

// How much is passed over in one hold of Log.mu: bytes of records, and what it costs to look at one, in such bytes.
const (
	atOnceBytes = 256 << 10
	lookCost    = 128
)

// jump moves the cursor to seq, by the index when there is much to skip.
func (c *Consumer) jump(seq uint64) {
	const near = 64 // records that are walked rather than sought
	if seq > c.seq+near {
		c.f = nil
	}
	c.seq = max(c.seq, seq)
}

// nextSegment moves the cursor to the next segment. What the last one lacked is lost.
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
	c.l.requestPrepare() // the segment behind the next one may be opened ahead
	c.l.requestCleanup()
}

// seek finds the segment that holds c.seq and the place in it, or one before it. It is false when that has to be
// opened.
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
		// Where there is no record of an item before it, Next walks there, and notes the damage that it meets.
		at := f.seg.Near(c.seq)
		if r, _, err := f.seg.At(at); err == nil && r.Seq <= c.seq {
			c.at = at
		}
	}
	return true
}

// readAhead has the background get ready what comes behind the block that the cursor is in, and mend
// what had to be rebuilt on the way.
func (c *Consumer) readAhead() {
	c.ahead = c.f.seg.BlockEnd(c.at)
	c.l.requestPrepare()
	if c.f.needsMendingLocked() {
		c.l.compaction.request()
	}
}

// unreadable gives up a segment of which nothing can be read; a passing error is returned.
func (c *Consumer) unreadable(i int, err error) error {
	if !segment.Unreadable(err) {
		return err
	}
	l := c.l
	end := l.next
	if i+1 < len(l.files) {
		end = l.files[i+1].first
	}
	l.log.Error("segment cannot be read; its items are lost", "queue", l.name(), "file", l.files[i].path, "items", end-c.seq, "error", err)
	l.files[i].lost = true
	c.lose(c.seq, end-1)
	c.seq = end
	return nil
}

// Take marks an item as taken for good. The order does not matter, and taking twice is no error.
// It survives the death of the process; a power cut before the next sync may bring the item back. So may
// any restart while a full disk has no room to note what is taken out of order.
// After ErrFailed a restart may bring it back as well: the offset file cannot be written.
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

// checkFault makes a log fail whose offset file cannot be written: the state lives in memory from here
// on. On a full disk it does so only until there is space.
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

// Taken reports whether an item was taken, one by one or by SkipToEnd.
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

// Pending is how many items are not taken, those handed out by Next included, and their bytes.
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

// take moves the head or keeps a range, and writes it down.
func (c *Consumer) take(x offset.Span) {
	if x.To < c.st.Head {
		return
	}
	if x.From <= c.st.Head {
		c.st.Head = x.To + 1
		c.st.Below += x.Bytes
		c.st.Absorb()
		if c.st.Head == c.l.next {
			c.st.Below = c.l.total.bytes // exact again, whatever damage took
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

// lose takes what is not there to be handed out.
func (c *Consumer) lose(from, to uint64) {
	before := c.l.next - c.st.Head - c.st.Taken.Count
	c.take(offset.Span{From: max(from, c.st.Head), To: to})
	if lost := before - (c.l.next - c.st.Head - c.st.Taken.Count); lost > 0 {
		c.l.stats.damaged.Add(lost)
		c.l.log.Error("items are lost to damage", "queue", c.l.name(), "consumer", c.name, "from", from, "to", to, "items", lost)
	}
}

// ensureFile makes the offset file if there is none, where nobody waits for Log.mu, which is held.
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

// adoptFile makes a blank file the consumer's, filled with what is taken; after an error nothing is left of it. Log.mu is held.
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

// requestFile has the background make the file, which must not keep a taker waiting. Until then what is taken is known
// in memory alone.
func (c *Consumer) requestFile() {
	c.unsaved = true
	if !c.rewriteRequested {
		c.rewriteRequested = true
		c.l.requestCleanup()
	}
}

// saveRange appends an entry. Without a place for it the range is kept in memory until the file
// can be rewritten: a crash meanwhile brings the item back.
func (c *Consumer) saveRange(x offset.Span) {
	if c.off == nil {
		c.requestFile()
		return
	}
	for !c.off.Note(x) {
		if c.l.background.reserve.lent.Load() || c.off.Grow() != nil {
			c.unsaved = true
			break
		}
	}
	c.requestRewriteIfDue()
}

// requestRewriteIfDue has the background rewrite the file when it is due.
func (c *Consumer) requestRewriteIfDue() {
	if (c.unsaved || c.off.End() >= c.rewriteAt) && !c.rewriteRequested {
		c.rewriteRequested = true
		c.l.requestCleanup()
	}
}

// checkpoint notes in the file the head, and what is durable of the log. Log.mu is held.
func (c *Consumer) checkpoint() {
	c.off.Checkpoint(c.st.Head, c.st.Below, c.l.durable)
	c.requestRewriteIfDue()
}

// close leaves an offset file of one block where its state fits into one. If that fails, for want
// of space or otherwise, the file as it is serves as well.
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
