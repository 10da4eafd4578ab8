package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
)

// uploads is what a log knows of large items: those being uploaded, and the bodies of those that
// have their place. Log.mu guards it.
type uploads struct {
	unsynced []openBody // committed since the last sync, maxUnsynced at most
	taken    []uint64   // numbers of items whose bodies may be deleted
	sweep    bool       // look in the directory for bodies to delete
	count    int        // bodies of committed items
	bytes    int64      // size of those

	// maybeTorn is the items, found on opening, whose bodies a power cut may have torn: no sync is
	// known to have covered them.
	maybeTorn []uint64

	// damaged is the items whose bodies readers found damaged. These bodies are set aside, not
	// deleted.
	damaged map[uint64]bool

	// flipped is the bodies in which readers found flipped bits, by their items.
	flipped map[uint64]*flippedBody
}

// openBody is the open file of a committed large item.
type openBody struct {
	seq uint64
	f   disk.File
}

// maxUnsynced bounds the open files of a log that wait for a sync, and how long a sync takes.
// Beyond it, or BoundBodies, each Commit syncs its own body, which slows down whoever sends them.
const maxUnsynced = 64

// openBodies are the open files of committed large items of all logs that share a Background.
type openBodies struct {
	bound atomic.Int64 // 0: none
	now   atomic.Int64
}

// BoundBodies bounds how many bodies of large items, of all logs together, are open at a time
// because they wait for a sync; 0 is no bound. Commits that come at the same time may exceed it.
func (b *Background) BoundBodies(n int) { b.bodies.bound.Store(int64(n)) }

func (o *openBodies) full() bool {
	bound := o.bound.Load()
	return bound > 0 && o.now.Load() >= bound
}

// keepBodyLocked keeps the body of a committed item open for the next sync, which reports what the
// system could not write meanwhile.
func (l *Log) keepBodyLocked(seq uint64, f disk.File) {
	l.background.bodies.now.Add(1)
	l.uploads.unsynced = append(l.uploads.unsynced, openBody{seq, f})
}

// closeBody closes a body that was kept.
func (l *Log) closeBody(b openBody) {
	b.f.Close()
	l.background.bodies.now.Add(-1)
}

// Writer writes the body of one large item into a file of its own. Consumers do not see the item
// before Commit. Use it from one goroutine at a time.
type Writer struct {
	l       *Log
	m       Meta
	f       disk.File
	path    string
	upload  uint64
	size    int64 // announced
	written int64
	synced  bool // the body was synced by Commit
	body    *body.Writer
	err     error // of an earlier call: the upload has failed

	freesSpace bool // it may wait for cleanup: see freeSpace
}

// BeginLarge begins a large item of the given size in bytes. The item has no place in the log
// before Commit. Abort, or the death of the process, leaves nothing of it.
func (l *Log) BeginLarge(size int64, m Meta) (*Writer, error) {
	if size < 0 {
		return nil, fmt.Errorf("an item cannot have %d bytes", size)
	}
	var w *Writer
	err := l.withSpace(func() (err error) {
		w, err = l.beginLarge(size, m)
		return err
	})
	if err != nil {
		return nil, l.uploadRefused(err)
	}
	w.freesSpace = true
	return w, nil
}

// beginLarge is BeginLarge that frees no space.
func (l *Log) beginLarge(size int64, m Meta) (*Writer, error) {
	l.mu.Lock()
	err := l.usableLocked()
	l.mu.Unlock()
	if err == nil {
		err = l.admit(body.FileSize(size))
	}
	if err != nil {
		return nil, err
	}
	n := rand.Uint64() // unique: recovery matches bodies and records by it
	w := &Writer{l: l, m: m, upload: n, size: size, path: l.path(files.PartName(n))}
	if w.f, err = l.fs.Create(w.path); err != nil {
		return nil, err
	}
	if w.body, err = body.NewWriter(w.f, size, n, l.id); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Move is Meta.Move of the item.
func (w *Writer) Move(by int64) { w.m.Move(by) }

// Write adds to the body. Errors: ErrFull, and more bytes than announced.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.err == nil && w.f == nil {
		w.err = ErrClosed
	}
	if w.err == nil && w.written+int64(len(p)) > w.size {
		w.err = fmt.Errorf("body is larger than the %d bytes announced", w.size)
	}
	for n < len(p) && w.err == nil {
		k := w.body.Fill(p[n:])
		w.written += int64(k)
		n += k
		if w.body.Full() {
			w.err = w.writeChunk()
		}
	}
	return n, w.err
}

func (w *Writer) writeChunk() error {
	write := func() error {
		if err := w.l.admit(w.body.Pending()); err != nil {
			return err
		}
		return w.body.Flush()
	}
	var err error
	if w.freesSpace {
		err = w.l.withSpace(write)
	} else {
		err = write()
	}
	if err != nil {
		return w.l.uploadRefused(err)
	}
	return nil
}

func (l *Log) uploadRefused(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusedLocked(err)
}

// Commit gives the item its place at the end of the log. The body must be as long as announced.
// After an error nothing is left of it. Commit waits for the disk when too much awaits sealing: see
// TryCommit.
func (w *Writer) Commit() (Position, error) {
	p, err := w.TryCommit()
	for errors.Is(err, ErrBacklog) {
		w.l.CatchUp()
		p, err = w.TryCommit()
	}
	return p, err
}

// TryCommit is Commit that does not wait for the backlog of sealing. It returns ErrBacklog instead,
// and the item stays as it was. Then call CatchUpThen and TryCommit again, or Abort.
func (w *Writer) TryCommit() (p Position, err error) {
	if w.err == nil && w.f == nil {
		w.err = ErrClosed
	}
	if w.err == nil && w.written < w.size {
		w.err = fmt.Errorf("body has %d of the %d bytes announced", w.written, w.size)
	}
	if w.err == nil && w.body.Pending() > 0 {
		w.err = w.writeChunk()
	}
	if w.err == nil {
		w.err = w.syncIfMany()
	}
	if w.err != nil {
		return p, errors.Join(w.err, w.Abort())
	}
	for p, err = w.appendRecord(); err == ErrUnready; p, err = w.appendRecord() {
		w.l.getRoom()
	}
	if errors.Is(err, ErrBacklog) {
		return p, err
	}
	if err != nil {
		return p, errors.Join(err, w.Abort())
	}
	w.nameBody(p)
	return p, nil
}

func (w *Writer) syncIfMany() error {
	l := w.l
	l.mu.Lock()
	many := len(l.uploads.unsynced) >= maxUnsynced || l.background.bodies.full()
	l.mu.Unlock()
	if !many || w.synced {
		return nil
	}
	w.synced = true
	if err := w.f.Sync(); err != nil {
		return l.fail(err)
	}
	return nil
}

// appendRecord appends the small record. From then on the item exists, whatever name its body has;
// the segment is not sealed before the body has its final name.
func (w *Writer) appendRecord() (Position, error) {
	payload := body.EncodeRecord(w.size, w.upload)
	l := w.l
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.appendLocked(segment.KindLarge, payload[:], w.size, &w.m)
	if err != nil {
		return p, err
	}
	l.findLocked(p.segment).renames++
	l.uploads.count++
	l.uploads.bytes += body.FileSize(w.size)
	if !w.synced {
		l.keepBodyLocked(p.Seq, w.f)
	}
	return p, nil
}

// nameBody renames the body after its item. If that fails, the item is found under the upload's
// name.
func (w *Writer) nameBody(p Position) {
	l := w.l
	final := l.path(files.BodyName(p.Seq))
	err := l.fs.Rename(w.path, final)
	if err != nil {
		l.log.Error("large item keeps its temporary name until the log is opened again",
			"file", w.path, "error", err)
	}
	l.mu.Lock()
	if f := l.findLocked(p.segment); f != nil && err == nil {
		f.renames--
	}
	l.dirty.dir = true // its name is not durable yet
	l.touchLocked()
	l.mu.Unlock()
	if w.synced {
		w.f.Close()
	}
	w.f = nil // if it is not closed, a sync has it now
	w.releaseBuffer()
}

func (w *Writer) releaseBuffer() {
	if w.body != nil {
		w.body.Release()
	}
}

// Abort ends an upload and leaves nothing of it. After Commit it does nothing.
func (w *Writer) Abort() error {
	w.releaseBuffer()
	if w.f == nil {
		return nil
	}
	err := errors.Join(w.f.Close(), w.l.fs.Remove(w.path))
	w.f = nil
	return err
}
