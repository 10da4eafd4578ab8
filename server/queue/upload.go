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
type Upload struct {
	queue *Queue
	home  *wal.Log
	body  *wal.Writer
	ended bool

	enqueued int64 // when it began, Unix ms
}

const (
	chunk  = 128 << 10 // what a log writes of a body at a time, or less
	extent = 1 << 20   // what a segment grows by, or less
)

// Create begins a large item of size bytes. The errors are those of Put; room is made if it can be, here and
// as the item comes.
func (q *Queue) Create(size int64, m wal.Meta) (*Upload, error) {
	if err := q.lock(true); err != nil {
		return nil, err
	}
	u := &Upload{queue: q, home: q.log, enqueued: m.Enqueued}
	q.uploads++
	q.mu.Unlock()
	q.roomFor(size + size>>12 + chunk)
	var err error
	if u.body, err = u.home.Create(size, m); err != nil {
		u.fail()
		return nil, u.deleted(err)
	}
	return u, nil
}

// Write takes the next bytes of the body.
func (u *Upload) Write(p []byte) (int, error) {
	u.queue.roomFor(int64(len(p)) + chunk)
	n, err := u.body.Write(p)
	return n, u.deleted(err)
}

// Commit puts the item at the end of the queue once all its bytes are written. When it returns the
// item is visible, or in the hands of the first waiter. After an error nothing is left of it, save wal.ErrBehind:
// wait with CatchUpThen, and call it again.
func (u *Upload) Commit() error {
	u.queue.roomFor(min(u.queue.reg.segmentSize(u.queue)/2, extent))
	by, era := u.queue.reg.o.Clock.adopt(u.enqueued)
	u.body.Move(by)
	u.enqueued += by
	p, err := u.body.TryCommit()
	if errors.Is(err, wal.ErrBehind) {
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
func (u *Upload) place(p wal.Position, era uint32) {
	q := u.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.log == u.home {
		q.noteEra(p.Seq, era)
	}
}

// Abort gives the item up and leaves nothing of it. Behind Commit it does nothing.
func (u *Upload) Abort() {
	if !u.ended {
		u.body.Abort()
		u.fail()
	}
}

// fail ends an upload that becomes no item; the first of a queue leaves no queue either.
func (u *Upload) fail() {
	u.end()
	if u.home.Stats().Appended == 0 {
		u.queue.undo()
	}
}

func (u *Upload) end() {
	u.ended = true
	u.queue.mu.Lock()
	if u.home == u.queue.log {
		u.queue.uploads--
	}
	u.queue.settle()
}

func (u *Upload) deleted(err error) error {
	if errors.Is(err, wal.ErrClosed) {
		return fmt.Errorf("queue %s was deleted while the item came in: %w", u.queue.name, wal.ErrClosed) // err names files
	}
	return err
}
