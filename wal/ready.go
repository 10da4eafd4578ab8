package wal

// What an append or a reader lacks that takes the disk, or long: blocks, the next segment, an offset file; a
// segment to be opened, the end of a damaged range. It is got ready without Log.mu, by whoever may wait or by the
// background, while the caller is told ErrUnready: so nobody waits for it but who needs it.

import (
	"container/list"
	"errors"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// room is what appends lack. Log.mu guards it.
type room struct {
	lacks   bool  // somebody was told ErrUnready since it was last seen to
	extent  *file // in which blocks are lacking; nil: it is a segment that is
	bytes   int64 // of the record that lacked it
	asked   bool  // the background is to see to it
	waiting waitlist

	diskFull bool // an item was refused for want of space; until what is taken was looked for

	err    error         // why it could not be had: for the next one that lacks as much
	failed time.Duration // when, in steady time
}

// staleAfter is how long a refusal is told to who asks next. Who caused it is there by then, or gone.
const staleAfter = time.Second

// requestRoomLocked is for an append that found no blocks in a segment, or, nil, no segment. Log.mu is held.
func (l *Log) requestRoomLocked(f *file, bytes int64) error {
	r := &l.room
	if err := r.err; err != nil && bytes >= r.bytes {
		r.err = nil
		switch {
		case l.steady()-r.failed > staleAfter:
		case errors.Is(err, segment.ErrFault) && !disk.IsFull(err):
			return l.failLocked(err)
		default:
			return l.refusedLocked(err)
		}
	}
	r.lacks, r.extent, r.bytes = true, f, bytes
	return ErrUnready
}

// Prepare gets ready what the first append takes after the log was opened, so that it need not wait. It waits for the
// disk. A refusal is for that append.
func (l *Log) Prepare() {
	l.mu.Lock()
	f := l.activeLocked()
	lacks := f == nil && !l.canRollLocked() || f != nil && f.seg.Room() == 0
	if lacks {
		l.room.lacks, l.room.extent, l.room.bytes = true, f, 1
	}
	l.mu.Unlock()
	if lacks {
		l.getRoom()
	}
}

// getRoom gets ready what an append lacks.
func (l *Log) getRoom() {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	l.mu.Lock()
	wanted, f, bytes := l.room.lacks && l.usableLocked() == nil, l.room.extent, l.room.bytes
	extends := f != nil && f == l.activeLocked() // else another segment has taken its place
	if extends {
		f.pins++
	}
	l.mu.Unlock()
	var err error
	switch {
	case !wanted:
	case extends:
		err = l.extendForItem(f, bytes)
	case f == nil:
		err = l.makeNext()
	}
	if extends {
		l.release(f)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room.lacks, l.room.extent, l.room.asked = false, nil, false
	if wanted { // else what another found is to be told yet
		l.room.err, l.room.bytes, l.room.failed = err, bytes, l.steady()
	}
	l.room.waiting.notify()
}

// makeNext makes what the next segment takes: the consumers' offset files, so that on a full disk they still have
// a place to say what they took, and a blank segment. The first has its final name at once. Log.preparing is held.
func (l *Log) makeNext() error {
	l.mu.Lock()
	there, first := l.spare.file != nil, l.activeLocked() == nil
	l.spare.made++
	path := l.path(files.SpareName(l.spare.made))
	if first { // nothing else can give the next item its place meanwhile
		path = l.path(files.SegmentName(l.next))
	}
	l.mu.Unlock()
	if !there {
		if err := l.admit(l.blankBytes()); err != nil {
			return err
		}
	}
	if err := l.makeOffsets(); err != nil || there {
		return err
	}
	f, err := l.create(path)
	if err != nil {
		return err
	}
	f.named = first
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare.file = f // Close, which may have been called, waits for Log.preparing
	l.dirty.dir = true
	return nil
}

// rollNowLocked makes what the next segment takes and starts it, where nobody waits for Log.mu, which is held.
func (l *Log) rollNowLocked() error {
	for _, c := range l.consumers {
		if err := c.ensureFile(); err != nil {
			return err
		}
	}
	f, err := l.create(l.path(files.SegmentName(l.next)))
	if err != nil {
		return err
	}
	f.named, l.dirty.dir, l.spare.file = true, true, f
	return l.rollLocked()
}

// makeOffsets makes the offset files that consumers lack. Log.preparing is held.
func (l *Log) makeOffsets() error {
	for {
		l.mu.Lock()
		c := l.withoutOffsetsLocked()
		if c == nil {
			l.mu.Unlock()
			return nil
		}
		live, created := c.live(), c.st.Created
		l.mu.Unlock()
		off, err := l.blankOffsets(c.name, live, created)
		if err != nil {
			return err
		}
		l.mu.Lock()
		err = c.adoptFile(off)
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// withoutOffsetsLocked returns a consumer that has no offset file. Log.mu is held.
func (l *Log) withoutOffsetsLocked() *Consumer {
	for _, c := range l.consumers {
		if c.off == nil {
			return c
		}
	}
	return nil
}

// blankOffsets makes an offset file with room for so many bytes of entries, and for some that come meanwhile.
func (l *Log) blankOffsets(name string, live int, created int64) (*offset.File, error) {
	off, err := offset.Create(l.fs, l.path(files.OffsetName(name)), max(l.offsetCapacity(), 4*live), created, l.id)
	if err != nil {
		return nil, err
	}
	if live > off.Allocated() {
		if err := off.Reserve(2 * live); err != nil {
			return nil, errors.Join(err, off.Close(), l.fs.Remove(off.Path))
		}
	}
	return off, nil
}

// reading is what a consumer lacks in order to go on. Log.mu guards it.
type reading struct {
	lacks   bool // it was told ErrUnready for want of it: its segment is to be opened, or damage passed
	asked   bool // the background is to see to it
	err     error
	waiting waitlist
}

// ReadyThen calls fn once, on another goroutine, when it is worth calling TryNext again after ErrUnready. It never
// blocks; fn must not either.
func (c *Consumer) ReadyThen(fn func()) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.reading.lacks || l.closed {
		go fn()
		return
	}
	c.reading.waiting.add(fn)
	if !c.reading.asked {
		c.reading.asked = true
		l.background.readPool.do(c.GetReady)
	}
}

// GetReady opens the segment that the cursor comes to, or finds where the damage that it has met ends.
func (c *Consumer) GetReady() {
	l := c.l
	l.mu.Lock()
	lacks, f, at := c.reading.lacks && !l.closed, c.f, c.at
	damaged := lacks && c.atDamage()
	if i := l.indexLocked(c.seq); f == nil && i >= 0 {
		f = l.files[i]
	}
	if !lacks || f == nil || c.f != nil && !damaged { // it was flushed, or somebody else opened the segment, meanwhile
		c.isReady(nil)
		l.mu.Unlock()
		return
	}
	f.pins++
	path, isOpen := f.path, f.seg != nil
	l.mu.Unlock()
	var err error
	next := at
	if damaged {
		next = l.endOfDamage(f, at)
	} else if !isOpen {
		err = l.open(f, path)
	}
	l.mu.Lock()
	if damaged && c.f == f && c.at == at {
		from, to := f.seg.FileRange(at, next)
		l.aside.damage = append(l.aside.damage, damage{f, from, to, nil})
		l.requestCleanup()
		c.at = next
	}
	if i := l.indexLocked(c.seq); err != nil {
		if c.ended || i < 0 || l.files[i] != f || f.path != path { // it was renamed or replaced meanwhile
			err = nil
		} else {
			err = c.unreadable(i, err)
		}
	}
	c.isReady(err)
	l.mu.Unlock()
	l.release(f)
}

// atDamage reports that no record verifies where the cursor is. Log.mu is held.
func (c *Consumer) atDamage() bool {
	if c.f == nil || c.at >= c.f.seg.Tail() {
		return false
	}
	_, _, err := c.f.seg.At(c.at)
	return err != nil
}

// isReady tells who waits. Log.mu is held.
func (c *Consumer) isReady(err error) {
	c.reading.lacks, c.reading.asked, c.reading.err = false, false, err
	c.reading.waiting.notify()
}

// waitlist is functions that are to be called once. Log.mu guards it.
type waitlist struct{ list list.List }

func (w *waitlist) add(fn func()) *list.Element { return w.list.PushBack(fn) }

// remove has a function forgotten; it is false when that was called, or is about to be.
func (w *waitlist) remove(e *list.Element) bool {
	n := w.list.Len()
	w.list.Remove(e)
	return w.list.Len() < n
}

// notify calls them, in their order, on another goroutine.
func (w *waitlist) notify() {
	if w.list.Len() == 0 {
		return
	}
	var all []func()
	for e := w.list.Front(); e != nil; e = w.list.Front() {
		all = append(all, w.list.Remove(e).(func()))
	}
	go func() {
		for _, fn := range all {
			fn()
		}
	}()
}
