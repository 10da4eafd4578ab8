package wal

// What an append or a reader lacks and is slow to get. An append may lack blocks, the next segment
// or an offset file. A reader may lack an open segment or the end of a damaged range. The caller
// gets ErrUnready; then somebody who may wait, or the background, prepares what is missing without
// Log.mu. So only callers that need it wait for it.

import (
	"container/list"
	"errors"
	"io"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// room is what appends lack. Log.mu guards it.
type room struct {
	lacks   bool  // an append got ErrUnready since getRoom last ran
	extent  *file // it lacks blocks; nil if a segment is lacking
	bytes   int64 // of the record that needs it
	asked   bool  // getRoom or GetReady waits in a pool
	waiting waitlist

	diskFull bool // an item was refused, and cleanup has not looked for space since

	err    error         // why getRoom failed: for the next append of at least bytes
	failed time.Duration // when, in steady time
}

// staleAfter is how long a refusal is kept for the next append. Whoever caused it has asked again
// by then, or is gone.
const staleAfter = time.Second

// requestRoomLocked notes that an append lacks blocks in segment f or, if f is nil, a segment. It
// returns the refusal of an earlier attempt, or ErrUnready.
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

// Prepare gets ready what the first append after Open needs, so that it does not wait. Prepare
// waits for the disk. If it fails, that append is refused.
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

// getRoom prepares what an append lacks.
func (l *Log) getRoom() {
	var wanted bool
	var bytes int64
	err := l.withSpace(func() (err error) {
		wanted, bytes, err = l.tryRoom()
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted = wanted && (err == nil || l.room.lacks)
	l.room.lacks, l.room.extent, l.room.asked = false, nil, false
	if wanted { // otherwise the result of another call stays
		l.room.err, l.room.bytes, l.room.failed = err, bytes, l.steady()
	}
	l.room.waiting.notify()
}

// tryRoom prepares it as far as there is space. It returns whether anything is lacking, and the
// bytes of the record that needs it.
func (l *Log) tryRoom() (wanted bool, bytes int64, err error) {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	l.mu.Lock()
	wanted, bytes = l.room.lacks && l.usableLocked() == nil, l.room.bytes
	f := l.room.extent
	extends := f != nil && f == l.activeLocked() // otherwise the log has rolled since
	if extends {
		f.pins++
	}
	l.mu.Unlock()
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
	return wanted, bytes, err
}

// makeNext makes what the next segment needs: the consumers' offset files, so that even on a full
// disk they can note what they take, and a blank segment. The log's first segment gets its final
// name at once. Log.preparing is held.
func (l *Log) makeNext() error {
	l.mu.Lock()
	there, first := l.spare.file != nil, l.activeLocked() == nil
	l.spare.made++
	path := l.path(files.SpareName(l.spare.made))
	if first { // no item can be appended meanwhile
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
	if was := l.spare.file; was != nil { // cleanup has one to use again meanwhile
		l.spare.waiting = append(l.spare.waiting, was)
	}
	l.spare.file = f // if the log was closed, closeFiles waits for Log.preparing
	l.dirty.dir = true
	return nil
}

// rollNowLocked makes what the next segment needs and starts it. It waits for the disk under
// Log.mu, so it is for recovery.
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

// withoutOffsetsLocked returns a consumer without an offset file.
func (l *Log) withoutOffsetsLocked() *Consumer {
	for _, c := range l.consumers {
		if c.off == nil {
			return c
		}
	}
	return nil
}

// blankOffsets makes an offset file with room for live bytes of entries, and for more that come
// meanwhile.
func (l *Log) blankOffsets(name string, live int, created int64) (*offset.File, error) {
	path, capacity := l.path(files.OffsetName(name)), max(l.offsetCapacity(), 4*live)
	off, err := offset.Create(l.fs, path, capacity, created, l.id)
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

// reading is what a consumer lacks to go on. Log.mu guards it.
type reading struct {
	lacks   bool   // TryNext returned ErrUnready: the segment is not open, or is damaged here
	find    uint64 // TryFind did, for this number; 0: it did not
	asked   bool   // getRoom or GetReady waits in a pool
	err     error
	waiting waitlist
}

// ReadyThen calls fn once, on another goroutine, when TryNext is worth calling again after
// ErrUnready. It never blocks; fn must not either.
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

// GetReady prepares what TryNext lacked: it opens the segment at the cursor, or finds the end of
// the damage there. It waits for the disk.
func (c *Consumer) GetReady() {
	if c.openFound() {
		return
	}
	l := c.l
	l.mu.Lock()
	lacks, f, at := c.reading.lacks && !l.closed, c.f, c.at
	damaged := lacks && c.atDamage()
	if i := l.indexLocked(c.seq); f == nil && i >= 0 {
		f = l.files[i]
	}
	// Meanwhile it was flushed, or somebody else opened the segment.
	if !lacks || f == nil || c.f != nil && !damaged {
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
		next = min(next, f.seg.Tail()) // an upload that broke off may have lowered it
		from, to := f.seg.FileRange(at, next)
		l.addDamageLocked(damage{f, from, to, nil})
		c.at = next
	}
	if i := l.indexLocked(c.seq); err != nil {
		// Meanwhile it was renamed or replaced.
		if c.ended || i < 0 || l.files[i] != f || f.path != path {
			err = nil
		} else {
			err = c.unreadable(i, err)
		}
	}
	c.isReady(err)
	l.mu.Unlock()
	l.release(f)
}

// atDamage reports whether no record verifies at the cursor.
func (c *Consumer) atDamage() bool {
	if c.f == nil || c.at >= c.f.seg.Tail() {
		return false
	}
	_, _, err := c.f.seg.At(c.at)
	return err != nil && err != io.EOF
}

// isReady ends the wait for what the cursor lacked.
func (c *Consumer) isReady(err error) {
	c.reading.lacks, c.reading.find, c.reading.asked, c.reading.err = false, 0, false, err
	c.reading.waiting.notify()
}

// waitlist is functions to call once. Log.mu guards it.
type waitlist struct{ list list.List }

func (w *waitlist) add(fn func()) *list.Element { return w.list.PushBack(fn) }

// remove cancels a call. It is false if the function was called or is about to be.
func (w *waitlist) remove(e *list.Element) bool {
	n := w.list.Len()
	w.list.Remove(e)
	return w.list.Len() < n
}

// notify calls the functions in order, on another goroutine.
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
