package wal

// Uploads: payloads that go into the log as they arrive. One gets room in the segment that takes
// appends, or in the next one, and its place among the items when it is whole. Any number share a
// segment, and nobody waits for anybody. A slow one must not hold a segment up that takes no more
// appends: what has come of it is moved to a file of its own, and the rest follows there, as for a
// large item.

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

// slowAfter is how long a segment that takes no more appends waits for uploads into it.
const slowAfter = time.Second

// Upload takes the payload of one item into the log, piece by piece. Consumers do not see the item
// before it is committed. Use it from one goroutine at a time. Exactly one of TryCommit, Commit and
// Abort ends it.
type Upload struct {
	l    *Log
	m    Meta
	size int

	mu      sync.Mutex // held while its bytes are written or moved; taken before Log.mu
	f       *file      // has the room, and is pinned; nil: it was moved, or has ended
	room    segment.Body
	got     int    // bytes of the payload so far
	start   uint64 // the checksum of none of them
	sum     uint64 // their checksum
	noLend  bool   // its pages cannot be lent
	aside   *Writer
	err     error       // why it could not be moved
	aborted atomic.Bool // whoever has mu cleans up
}

// TryUpload begins an item of size bytes, 1 to Options.InlineMax. It does not wait for the disk;
// its errors are those of TryAppend. It is ErrTooLarge also if uploads fill a segment before its
// first item: use BeginLarge then. The item has no place in the log before TryCommit. Abort, or the
// death of the process, leaves nothing of it.
func (l *Log) TryUpload(size int, m Meta) (*Upload, error) {
	if size < 1 || size > l.o.InlineMax {
		return nil, fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, size, l.o.InlineMax)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return nil, err
	}
	bytes := segment.ReserveSize(size)
	for {
		f, err := l.takesLocked(bytes)
		if err != nil {
			return nil, err
		}
		if f.first == l.next && !l.leavesRoom(f, bytes) {
			return nil, fmt.Errorf("%w: uploads fill the segment, and it has no item yet",
				ErrTooLarge)
		}
		// Uploads into the full segment may end there, and need not be copied, if others begin in
		// the next one.
		if next := l.spare.file; len(f.coming) > 0 && !f.seg.Fits(bytes) && next != nil &&
			next.reused && l.leavesRoom(next, bytes) {
			f = next
		}
		room, err := f.seg.Reserve(size)
		if err == nil {
			start := f.seg.SumStart(room)
			u := &Upload{l: l, m: m, size: size, f: f, room: room, start: start, sum: start}
			f.pins++
			f.coming = append(f.coming, u)
			if f == l.activeLocked() {
				l.prepareFromLocked(f, f.seg.Tail())
			}
			return u, nil
		}
		if err := l.makeRoomLocked(f, bytes, err); err != nil {
			return nil, err
		}
	}
}

// leavesRoom reports whether an upload of so many bytes leaves a segment without an item room for
// the record of its first. Otherwise the next segment would begin with the number of that.
func (l *Log) leavesRoom(f *file, bytes int64) bool {
	return f.seg.Fits(bytes + segment.ReserveSize(l.o.InlineMax)) // whatever it carries
}

// Move is Meta.Move of the item.
func (u *Upload) Move(by int64) { u.m.Move(by) }

// Aside reports whether the payload was moved to a file of its own, or is about to be: then use
// Write and Commit, where waiting does no harm.
func (u *Upload) Aside() bool {
	if !u.mu.TryLock() {
		return true
	}
	defer u.mu.Unlock()
	return u.f == nil
}

// Lend returns the part of the file in memory that takes the rest of the payload, for a caller who
// can receive it there. It is nil if TryWrite is better. Otherwise Lent must follow at once.
func (u *Upload) Lend() []byte {
	if u.noLend || !u.mu.TryLock() {
		return nil
	}
	if u.f == nil || u.err != nil || !u.f.seg.Warm(u.room) {
		u.mu.Unlock()
		return nil
	}
	return u.f.seg.Lend(u.room, u.got)
}

// Lent says how many bytes were put at the start of what Lend returned, and returns the last of
// them. failed says that the memory takes none: it is not lent again.
func (u *Upload) Lent(n int, failed bool) (last byte) {
	defer u.mu.Unlock()
	u.noLend = u.noLend || failed
	if n > 0 {
		var err error
		if last, err = u.count(n); err != nil {
			u.err = u.l.fail(err)
		}
	}
	return last
}

// count notes n bytes that are in the file.
func (u *Upload) count(n int) (last byte, err error) {
	seg := u.f.seg
	defer segment.Guard(seg.Path(), debug.SetPanicOnFault(true), &err)
	b := seg.Lend(u.room, u.got)[:n]
	u.sum = checksum.Update(u.sum, b)
	u.got += n
	return b[n-1], nil
}

// TryWrite takes the next bytes of the payload. It does not wait. It returns ErrUnready if the
// payload was moved, or is about to be: see Aside.
func (u *Upload) TryWrite(p []byte) (int, error) {
	if !u.mu.TryLock() {
		return 0, ErrUnready
	}
	defer u.mu.Unlock()
	if u.f == nil && u.err == nil {
		return 0, ErrUnready
	}
	return u.fill(p)
}

// Write is TryWrite that may wait for the disk.
func (u *Upload) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.aside != nil {
		return u.aside.Write(p)
	}
	return u.fill(p)
}

func (u *Upload) fill(p []byte) (int, error) {
	switch {
	case u.err != nil:
		return 0, u.err
	case u.f == nil:
		return 0, ErrClosed
	case u.got+len(p) > u.size:
		return 0, fmt.Errorf("payload is larger than the %d bytes announced", u.size)
	}
	seg := u.f.seg
	if err := seg.Fill(u.room, u.got, p); err != nil {
		u.err = u.l.unfilled(err)
		return 0, u.err
	}
	u.sum = checksum.Update(u.sum, p)
	u.got += len(p)
	return len(p), nil
}

// unfilled turns an error of the segment into one of this package.
func (l *Log) unfilled(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.makeRoomLocked(nil, 0, err)
}

// Commit is TryCommit that may wait for the disk, but not for the backlog of sealing: after
// ErrBacklog call CatchUpThen and Commit again, or Abort.
func (u *Upload) Commit() (p Position, err error) {
	for p, err = u.commitAnyhow(); err == ErrUnready; p, err = u.commitAnyhow() {
		u.l.getRoom() // it may wait for a cleanup, which may wait for Upload.mu
	}
	return p, err
}

// commitAnyhow commits the payload, wherever it is.
func (u *Upload) commitAnyhow() (p Position, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.aside == nil {
		return u.commit()
	}
	u.aside.m = u.m
	if p, err = u.aside.TryCommit(); !errors.Is(err, ErrBacklog) {
		u.aside = nil
	}
	return p, err
}

// TryCommit gives the item its place at the end of the log. The payload must be as long as
// announced. Its errors are those of TryAppend; the upload then stays as it was. It is ErrUnready
// also if Commit is needed: see Aside.
func (u *Upload) TryCommit() (p Position, err error) {
	if !u.mu.TryLock() {
		return p, ErrUnready
	}
	defer u.mu.Unlock()
	if u.aside != nil {
		return p, ErrUnready
	}
	return u.commit()
}

func (u *Upload) commit() (p Position, err error) {
	switch {
	case u.err != nil:
		return p, u.err
	case u.f == nil:
		return p, ErrClosed
	case u.got < u.size:
		return p, fmt.Errorf("payload has %d of the %d bytes announced", u.got, u.size)
	}
	if p, err = u.append(); err == errRolled {
		p, err = u.copy()
	}
	return p, err
}

// errRolled: the segment that has an upload's payload takes no more appends.
var errRolled = errors.New("segment takes no more appends")

// append appends the record.
func (u *Upload) append() (p Position, err error) {
	l := u.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return p, err
	}
	for {
		if u.f == l.spare.file {
			if err := l.rollForItemLocked(segment.ReserveSize(0)); err != nil {
				return p, err
			}
		}
		if u.f != l.activeLocked() {
			return p, errRolled
		}
		var r segment.Record
		l.fillLocked(&r, segment.KindItem, nil, &u.m)
		off, err := u.f.seg.AppendBody(u.room, u.sum, &r)
		if err == nil {
			p = l.appendedLocked(u.f, off, int64(u.size), &r)
			u.leaveLocked()
			return p, nil
		}
		if err := l.makeRoomLocked(u.f, segment.ReserveSize(0), err); err != nil {
			return p, err
		}
	}
}

// copy appends the record and the payload to the segment that takes appends now.
func (u *Upload) copy() (p Position, err error) {
	defer segment.Guard(u.f.seg.Path(), debug.SetPanicOnFault(true), &err)
	payload, err := u.verified()
	if err != nil {
		return p, err
	}
	l := u.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, err = l.appendLocked(segment.KindItem, payload, int64(u.size), &u.m); err == nil {
		u.leaveLocked()
	}
	return p, err
}

// verified returns what came so far, before it is copied and gets another checksum.
func (u *Upload) verified() ([]byte, error) {
	b := u.f.seg.Lend(u.room, 0)[:u.got]
	if checksum.Update(u.start, b) != u.sum {
		return nil, fmt.Errorf("%s: %w as it came in", u.f.seg.Path(), ErrDamaged)
	}
	return b, nil
}

// leaveLocked gives up the segment. Upload.mu is held too.
func (u *Upload) leaveLocked() {
	l, f := u.l, u.f
	u.f = nil
	for i, x := range f.coming {
		if x == u {
			last := len(f.coming) - 1
			f.coming[i], f.coming[last] = f.coming[last], nil
			f.coming = f.coming[:last]
			break
		}
	}
	if len(f.coming) == 0 && f != l.activeLocked() {
		l.requestCleanup() // it may be sealed now
	}
	f.pins--
	if f.gone && f.pins == 0 {
		l.background.readPool.do(func() { l.close(f) })
	}
}

// Abort ends an upload and leaves nothing of it. After a commit it does nothing. It waits for the
// disk if Aside.
func (u *Upload) Abort() {
	u.aborted.Store(true)
	u.cleanUp()
}

// cleanUp ends an upload that was aborted, unless somebody has it who will do so.
func (u *Upload) cleanUp() {
	if !u.aborted.Load() || !u.mu.TryLock() {
		return
	}
	defer u.mu.Unlock()
	if u.f != nil {
		l := u.l
		l.mu.Lock()
		if u.f == l.activeLocked() || u.f == l.spare.file {
			u.f.seg.Release(u.room)
			l.rewindCursorsLocked(u.f)
		}
		u.leaveLocked()
		l.checkWasteLocked()
		l.mu.Unlock()
	}
	if u.aside != nil {
		if err := u.aside.Abort(); err != nil {
			u.l.log.Warn("cannot delete a part of an item", "error", err)
		}
		u.aside = nil
	}
}

// rewindCursorsLocked keeps cursors from standing beyond the end of a segment that lost its last
// bytes.
func (l *Log) rewindCursorsLocked(f *file) {
	tail := f.seg.Tail()
	for _, c := range l.consumers {
		if c.f == f {
			c.at = min(c.at, tail)
		}
	}
}

// moveSlowUploads moves uploads aside that hold segments up.
func (l *Log) moveSlowUploads() {
	for _, u := range l.slowUploads() {
		u.moveAside()
		u.cleanUp()
	}
}

// slowUploads returns the uploads into segments that have taken no appends for some time, or for
// any time if much awaits sealing, and those into segments that nobody needs. It sets the timer for
// the others.
func (l *Log) slowUploads() (due []*Upload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if !l.fillsFastLocked() && !l.room.diskFull { // what waits should go
		for _, f := range append(slices.Clone(l.spare.waiting), l.spare.file) {
			if f != nil {
				due = append(due, f.coming...)
			}
		}
	}
	active, now := l.activeLocked(), l.steady()
	pressed := l.sealBacklogExceedsLocked(l.o.Lag)
	for _, f := range l.files {
		switch left := f.rolled + slowAfter - now; {
		case f == active || len(f.coming) == 0:
		case left <= 0 || pressed:
			due = append(due, f.coming...)
		default:
			l.slow.Reset(left)
			return due
		}
	}
	return due
}

// moveAside moves what has come to a file of its own, which takes the rest.
func (u *Upload) moveAside() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.f == nil || u.aborted.Load() {
		return
	}
	l := u.l
	if u.err == nil {
		u.aside, u.err = u.copyAside()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// It stays for now; also where the disk is full and nobody waits for the segment.
	if disk.IsTransient(u.err) || errors.Is(u.err, ErrFull) && !slices.Contains(l.files, u.f) {
		u.err = nil
		l.slow.Reset(slowAfter)
		return
	}
	u.leaveLocked()
	l.checkWasteLocked()
}

func (u *Upload) copyAside() (w *Writer, err error) {
	if w, err = u.l.beginLarge(int64(u.size), Meta{}); err != nil { // commit knows the Meta
		return nil, u.l.uploadRefused(err)
	}
	if err = u.copyTo(w); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	w.freesSpace = true
	return w, nil
}

func (u *Upload) copyTo(w *Writer) (err error) {
	defer segment.Guard(u.f.seg.Path(), debug.SetPanicOnFault(true), &err)
	payload, err := u.verified()
	if err == nil {
		_, err = w.Write(payload)
	}
	return err
}
