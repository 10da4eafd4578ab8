package wal

// The bodies of large items: how they are read, and deleted once their items are taken.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
)

// Open streams the body of the large item at p, verified chunk by chunk: it never returns a wrong
// byte. Errors, also of Read and Lend: ErrDamaged, ErrGone, ErrClosed. It may wait for the disk.
func (l *Log) Open(p Position) (*Body, error) {
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
		l.noteFlips(p.Seq, b.Flips())
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
	o := &Body{r: b, l: l, seq: p.Seq, flips: len(b.Flips())}
	o.users.Store(1)
	return o, nil
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

// Body is the body of a large item. Use it from one goroutine at a time, either by Read or by Lend.
type Body struct {
	r     *body.Reader
	l     *Log
	seq   uint64
	flips int // noted so far
	users atomic.Int32
	ended bool
}

// Read returns the next bytes. It may wait for the disk.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	return n, b.note(err)
}

// Lend lends the next bytes, about n: whole chunks of 64 KiB, at least one, all of them verified
// first. It appends the loans, none after an error, which is io.EOF at the end. A body that cannot
// be mapped is lent one chunk at a time. Lend may wait for the disk. The body may be closed before
// the loans are released.
func (b *Body) Lend(loans []Loan, n int64) ([]Loan, error) {
	if b.ended {
		return loans, ErrClosed
	}
	had := len(loans)
	for mapped := b.r.Map(); ; {
		chunk, own, err := b.r.Next()
		if err = b.note(err); err == io.EOF && len(loans) > had {
			return loans, nil
		}
		if err != nil {
			for i := range loans[had:] {
				loans[had+i].Release()
			}
			return loans[:had], err
		}
		b.users.Add(1)
		b.l.lent.Add(1)
		loans = append(loans, Loan{Payload: chunk, l: b.l, body: b, own: own})
		if n -= int64(len(chunk)); n <= 0 || !mapped {
			return loans, nil
		}
	}
}

// note notes what reading has found out.
func (b *Body) note(err error) error {
	if flips := b.r.Flips(); len(flips) > b.flips {
		b.l.noteFlips(b.seq, flips[b.flips:])
		b.flips = len(flips)
	}
	switch {
	case errors.Is(err, ErrDamaged):
		b.l.noteDamagedBody(b.seq)
	case errors.Is(err, fs.ErrClosed):
		return ErrClosed
	}
	return err
}

// Close ends reading. The file is closed when the loans are released too.
func (b *Body) Close() error {
	if b.ended {
		return nil
	}
	b.ended = true
	if b.users.Add(-1) == 0 {
		return b.r.Close()
	}
	return nil
}

// endLoan ends a loan. It does not wait.
func (b *Body) endLoan(own *[]byte) {
	if own != nil {
		body.Recycle(own)
	}
	if b.users.Add(-1) == 0 {
		b.l.background.readPool.do(func() { b.r.Close() })
	}
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
	delete(l.uploads.flipped, seq)
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
	var gone []openBody
	is := func(b openBody) bool { return b.seq == seq }
	if i := slices.IndexFunc(l.uploads.unsynced, is); i >= 0 {
		gone = append(gone, l.uploads.unsynced[i])
		l.uploads.unsynced = slices.Delete(l.uploads.unsynced, i, i+1)
	}
	l.mu.Unlock()
	for _, b := range gone {
		l.closeBody(b)
	}
}
