package queue

// Storing a large item: its body streams to a file of its own, and the item gets its place in the
// queue when it is whole.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/wal"
)

// Upload takes the body of one large item, from one goroutine. Exactly one of Commit and Abort
// ends it. All methods may wait for the disk.
type Upload interface {
	// Write takes the next bytes of the body.
	Write(p []byte) (int, error)

	// Commit puts the item at the end of the queue once all its bytes are written. When it returns,
	// the item is visible, or the first waiter has it. After ErrBacklog wait with CatchUpThen and
	// call it again. After any other error nothing is left of the item.
	Commit() error

	// Abort gives the item up and leaves nothing of it. After Commit it does nothing.
	Abort()
}

type upload struct {
	store *store
	log   log
	body  largeBody
	ended bool

	size int64 // of the payload
	meta Meta
}

const (
	chunk  = 128 << 10 // a log writes a body in pieces of at most this
	extent = 1 << 20   // a segment grows in steps of at most this
)

// BeginLarge begins a large item of size bytes. The errors are those of Put. If the queue discards
// its oldest items at a bound, it does so here, and as the item comes.
func (q *Queue) BeginLarge(size int64, m Meta) (Upload, error) {
	s := q.store
	if _, err := s.lockLoaded(true); err != nil {
		return nil, err
	}
	if m.Enqueued == 0 {
		m.Enqueued = s.reg.eras.now()
	}
	s.delayLocked(&m)
	u := &upload{store: s, log: s.log, size: size, meta: m}
	s.uploads++
	err := s.admitLocked(size, m.Due() != 0)
	s.mu.Unlock()
	if err != nil && !errors.Is(err, ErrDiscardOldest) { // which is done when the item is whole
		u.fail()
		return nil, err
	}
	s.discardFor(size + size>>12 + chunk)
	if u.body, err = u.log.BeginLarge(size, m); err != nil {
		u.fail()
		return nil, reword(u.store, err)
	}
	return u, nil
}

func (u *upload) Write(p []byte) (int, error) {
	u.store.discardFor(int64(len(p)) + chunk)
	n, err := u.body.Write(p)
	return n, reword(u.store, err)
}

func (u *upload) Commit() error {
	u.store.discardFor(min(u.store.segmentSize()/2, extent))
	by, era := u.store.reg.eras.correction(u.meta.Enqueued)
	u.body.Move(by)
	u.meta.Move(by)
	p, err := u.store.appendReserved(u.size, u.meta.Due() != 0, u.body.TryCommit)
	if errors.Is(err, ErrBacklog) {
		return err
	}
	if err != nil {
		u.fail()
		return reword(u.store, err)
	}
	u.placed(p, era)
	u.end()
	return nil
}

// placed notes that the item has its place.
func (u *upload) placed(p Position, era uint32) {
	s := u.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == u.log {
		s.noteEraLocked(p.Seq, era)
		s.timePutLocked(p, u.meta)
	}
}

func (u *upload) Abort() {
	if !u.ended {
		u.body.Abort()
		u.fail()
	}
}

// fail ends an upload that becomes no item. If it was the first of its queue, no queue is left
// either.
func (u *upload) fail() {
	u.end()
	if u.log.Stats().Appended == 0 {
		u.store.rollbackCreate()
	}
}

func (u *upload) end() {
	s := u.store
	u.ended = true
	s.mu.Lock()
	if u.log == s.log {
		s.uploads--
	}
	s.serveAndUnlock()
}

// reword replaces the error of a queue that was deleted meanwhile, which names files.
func reword(s *store, err error) error {
	if errors.Is(err, wal.ErrClosed) {
		return fmt.Errorf("queue %s was deleted while the item came in: %w", s.name, wal.ErrClosed)
	}
	return err
}
