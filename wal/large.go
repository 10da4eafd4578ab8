package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"

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
}

// openBody is the open file of a committed large item.
type openBody struct {
	seq uint64
	f   disk.File
}

// maxUnsynced bounds the open files that wait for a sync, and how long a sync takes. Beyond it each
// Commit syncs its own body, which slows down whoever sends them.
const maxUnsynced = 64

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
}

// BeginLarge begins a large item of the given size in bytes. The item has no place in the log
// before Commit. Abort, or the death of the process, leaves nothing of it.
func (l *Log) BeginLarge(size int64, m Meta) (*Writer, error) {
	if size < 0 {
		return nil, fmt.Errorf("an item cannot have %d bytes", size)
	}
	l.mu.Lock()
	err := l.usableLocked()
	l.mu.Unlock()
	if err == nil {
		err = l.admit(body.FileSize(size))
	}
	if err != nil {
		return nil, l.uploadRefused(err)
	}
	n := rand.Uint64() // unique: recovery matches bodies and records by it
	w := &Writer{l: l, m: m, upload: n, size: size, path: l.path(files.PartName(n))}
	if w.f, err = l.fs.Create(w.path); err != nil {
		return nil, l.uploadRefused(err)
	}
	if w.body, err = body.NewWriter(w.f, size, n, l.id); err != nil {
		w.Abort()
		return nil, l.uploadRefused(err)
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
	err := w.l.admit(w.body.Pending())
	if err == nil {
		err = w.body.Flush()
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
	many := len(l.uploads.unsynced) >= maxUnsynced
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
	p, err := l.appendLocked(segment.KindLarge, payload[:], w.size, w.m)
	if err != nil {
		return p, err
	}
	l.findLocked(p.segment).renames++
	l.uploads.count++
	l.uploads.bytes += body.FileSize(w.size)
	if !w.synced {
		l.uploads.unsynced = append(l.uploads.unsynced, openBody{p.Seq, w.f})
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

// Open streams the body of the large item at p, verified chunk by chunk: it never returns a wrong
// byte. Errors, also of Read: ErrDamaged, ErrGone, ErrClosed. Use the reader from one goroutine at
// a time.
func (l *Log) Open(p Position) (io.ReadCloser, error) {
	f, err := l.hold(p)
	if err != nil {
		return nil, l.unread(p, err)
	}
	defer l.release(f)
	r, err := f.record(p)
	if err != nil {
		return nil, l.unread(p, err)
	}
	if r.Kind != segment.KindLarge {
		return nil, fmt.Errorf("item %d is not a large one: it is read with Read", p.Seq)
	}
	_, upload, _ := body.Record(&r)
	b, err := l.openBodyOf(p.Seq, upload)
	if isNotExist(err) {
		return nil, fmt.Errorf("%w: its body is missing: %w", ErrDamaged, err)
	}
	if err == nil {
		if err = b.Verify(p.Size, upload); err != nil {
			b.Close()
		}
	}
	if errors.Is(err, ErrDamaged) {
		l.noteDamagedBody(p.Seq)
	}
	if err != nil {
		return nil, err
	}
	return &reader{b, l, p.Seq}, nil
}

// openBodyOf opens the body of an item, which may still have its upload's name.
func (l *Log) openBodyOf(seq, upload uint64) (*body.Reader, error) {
	path := l.path(files.BodyName(seq))
	b, err := body.Open(l.fs, path)
	if isNotExist(err) { // its Commit has not renamed it yet
		b, err = body.Open(l.fs, l.path(files.PartName(upload)))
		if isNotExist(err) {
			b, err = body.Open(l.fs, path)
		}
	}
	return b, err
}

// reader streams a body for Log.Open.
type reader struct {
	*body.Reader
	l   *Log
	seq uint64
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, ErrDamaged):
		r.l.noteDamagedBody(r.seq)
	case errors.Is(err, fs.ErrClosed):
		err = ErrClosed
	}
	return n, err
}

// noteDamagedBody remembers that a body does not verify.
func (l *Log) noteDamagedBody(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uploads.damaged == nil {
		l.uploads.damaged = make(map[uint64]bool)
	}
	l.uploads.damaged[seq] = true
}

// takenBodies returns the large items whose bodies may be deleted, because every consumer has taken
// them.
func (l *Log) takenBodies() (gone []uint64) {
	l.mu.Lock()
	candidates, sweep := l.uploads.taken, l.uploads.sweep || l.sweepDueLocked()
	l.uploads.taken, l.uploads.sweep = nil, false
	l.mu.Unlock()
	if sweep {
		d, err := files.List(l.fs, l.dir)
		if err != nil {
			l.log.Warn("cannot list bodies to delete", "error", err)
			return nil
		}
		candidates = candidates[:0]
		for _, f := range d.Of[files.Body] {
			candidates = append(candidates, f.Number)
		}
	}
	for some := range slices.Chunk(candidates, atOnce) {
		l.mu.Lock()
		for _, seq := range some {
			if seq < l.next && l.deletableLocked(seq) {
				gone = append(gone, seq)
			}
		}
		l.mu.Unlock()
	}
	return gone
}

// sweepDueLocked reports whether bodies are left though no item is.
func (l *Log) sweepDueLocked() bool { return l.uploads.count > 0 && l.minHeadLocked() == l.next }

func (l *Log) takenByAllLocked(seq uint64) bool {
	for _, c := range l.consumers {
		if !c.has(seq) {
			return false
		}
	}
	return len(l.consumers) > 0
}

func (l *Log) removeBody(seq uint64) {
	l.forgetUnsynced(seq)
	path := l.path(files.BodyName(seq))
	size := int64(0)
	if f, err := l.fs.OpenRead(path); err == nil {
		size, _ = f.Size()
		f.Close()
	}
	if err := l.discardBody(seq, path); err != nil {
		if !isNotExist(err) {
			l.log.Warn("cannot delete the body of a taken item", "file", path, "error", err)
		}
		return
	}
	l.mu.Lock()
	l.uploads.count--
	l.uploads.bytes -= size
	delete(l.uploads.damaged, seq)
	l.mu.Unlock()
}

// discardBody deletes a body, or sets it aside if it was found damaged.
func (l *Log) discardBody(seq uint64, path string) error {
	l.mu.Lock()
	damaged := l.uploads.damaged[seq]
	l.mu.Unlock()
	if !damaged {
		return l.fs.Remove(path)
	}
	to, err := l.moveAside(path)
	if err == nil {
		l.log.Warn("damaged body of a large item set aside", "file", path, "now", to)
	}
	return err
}

// forgetUnsynced closes the body of an item that is gone, so that no sync writes it.
func (l *Log) forgetUnsynced(seq uint64) {
	l.mu.Lock()
	var f disk.File
	is := func(b openBody) bool { return b.seq == seq }
	if i := slices.IndexFunc(l.uploads.unsynced, is); i >= 0 {
		f = l.uploads.unsynced[i].f
		l.uploads.unsynced = slices.Delete(l.uploads.unsynced, i, i+1)
	}
	l.mu.Unlock()
	if f != nil {
		f.Close()
	}
}
