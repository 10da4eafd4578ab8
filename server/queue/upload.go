package queue

// A large item on its way in: its body streams to a file of its own, and the item gets its place
// in the queue when it is whole.

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

	// Commit puts the item at the end of the queue once all its bytes are written. When it returns
	// the item is visible, or in the hands of the first waiter. After an error nothing is left of
	// it, save ErrBehind: wait with CatchUpThen, and call it again.
	Commit() error

	// Abort gives the item up and leaves nothing of it. After Commit it does nothing.
	Abort()
}

type upload struct {
	store *store
	home  log
	body  largeBody
	ended bool

	enqueued int64 // when it began, Unix ms
}

const (
	chunk  = 128 << 10 // what a log writes of a body at a time, or less
	extent = 1 << 20   // what a segment grows by, or less
)

// Create begins a large item of size bytes. The errors are those of Put; the oldest items are
// discarded for it if they are to be, here and as the item comes.
func (q *Queue) Create(size int64, m Meta) (Upload, error) {
	s := q.store
	if _, err := s.lockLoaded(true); err != nil {
		return nil, err
	}
	u := &upload{store: s, home: s.log, enqueued: m.Enqueued}
	s.uploads++
	s.mu.Unlock()
	s.discardFor(size + size>>12 + chunk)
	var err error
	if u.body, err = u.home.Create(size, m); err != nil {
		u.fail()
		return nil, u.deleted(err)
	}
	return u, nil
}

func (u *upload) Write(p []byte) (int, error) {
	u.store.discardFor(int64(len(p)) + chunk)
	n, err := u.body.Write(p)
	return n, u.deleted(err)
}

func (u *upload) Commit() error {
	u.store.discardFor(min(u.store.segmentSize()/2, extent))
	by, era := u.store.reg.eras.correction(u.enqueued)
	u.body.Move(by)
	u.enqueued += by
	p, err := u.body.TryCommit()
	if errors.Is(err, ErrBehind) {
		return err
	}
	if err != nil {
		u.fail()
		return u.deleted(err)
	}
	u.place(p, era)
	u.end()
	return nil
}

// place notes the era of the item.
func (u *upload) place(p Position, era uint32) {
	s := u.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == u.home {
		s.noteEraLocked(p.Seq, era)
	}
}

func (u *upload) Abort() {
	if !u.ended {
		u.body.Abort()
		u.fail()
	}
}

// fail ends an upload that becomes no item; the first of a queue leaves no queue either.
func (u *upload) fail() {
	u.end()
	if u.home.Stats().Appended == 0 {
		u.store.rollbackCreate()
	}
}

func (u *upload) end() {
	s := u.store
	u.ended = true
	s.mu.Lock()
	if u.home == s.log {
		s.uploads--
	}
	s.serveAndUnlock()
}

func (u *upload) deleted(err error) error {
	if errors.Is(err, wal.ErrClosed) {
		return fmt.Errorf("queue %s was deleted while the item came in: %w", u.store.name, wal.ErrClosed) // err names files
	}
	return err
}
