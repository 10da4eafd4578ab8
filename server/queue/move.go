package queue

// Items on their way to another queue: those that have expired, where expired ones are kept, and
// those that were delivered too often. An item is put into the other queue, which is synced, before
// it is taken from this one. So a crash loses none. It may leave the item in both: at worst once
// for each that was being moved.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/wal"
)

const (
	// moveItems and moveBytes bound how much is moved before the other queue is synced.
	moveItems = 256
	moveBytes = 1 << 20
)

// stuckItems are those that the other queue does not take.
var stuckItems = &metrics.Trouble{
	Level: slog.LevelWarn, Text: "items that are to move to another queue stay%s",
}

// batch is items that are being moved. They belong to the mover: nobody else gets them.
type batch struct {
	items []Item
	bytes int64
}

func (b *batch) add(it Item) {
	b.items = append(b.items, it)
	b.bytes += it.Size
}

func (b *batch) isFull() bool { return len(b.items) >= moveItems || b.bytes >= moveBytes }

// isMoving reports whether an item is being moved.
func (q *Queue) isMovingLocked(seq uint64) bool {
	_, moving := q.moving[seq]
	return moving
}

// beginMoveLocked makes an item the mover's that was withdrawn from what waits.
func (q *Queue) beginMoveLocked(it Item) {
	if q.moving == nil {
		q.moving = make(map[uint64]int64)
	}
	q.moving[it.Seq] = it.Size
}

// endMoveLocked ends that for an item that was moved, or is taken otherwise.
func (q *Queue) endMoveLocked(it Item) {
	delete(q.moving, it.Seq)
	if len(q.moving) == 0 {
		q.moving = nil
	}
}

// movingLocked is the items that are being moved.
func (q *Queue) movingLocked() (all sum) {
	for _, size := range q.moving {
		all.items++
		all.bytes += size
	}
	return all
}

// move moves items to another queue, and returns how many of them, from the first on. It waits for
// the disk.
func (q *Queue) move(items []Item, to string, why wal.Why) (n int, err error) {
	target, err := q.store.reg.Queue([]byte(to))
	if err != nil {
		return 0, err
	}
	for _, it := range items {
		if err = q.copyTo(target, it, why); err != nil {
			break
		}
		n++
	}
	if n > 0 {
		if e := target.sync(); e != nil {
			return 0, e
		}
	}
	return n, err
}

// sync waits until all that was put is on stable storage.
func (q *Queue) sync() error {
	done := make(chan error, 1)
	q.SyncThen(func(err error) { done <- err })
	return <-done
}

// copyTo puts an item into another queue, with where it comes from. One that nobody can read any
// more is passed over.
func (q *Queue) copyTo(target *Queue, it Item, why wal.Why) error {
	m := Meta{
		Flags:    it.Flags,
		Enqueued: q.store.reg.eras.now(),
		More: &wal.More{Origin: &wal.Origin{
			Log: q.Name(), Seq: it.Seq, Why: why, Deliveries: it.deliveries,
			Enqueued: it.Enqueued, Expires: it.Expires,
		}},
	}
	err := target.copyFrom(q, it, m)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrGone) {
		return nil // taking it ends it
	}
	return err
}

// copyFrom puts an item of another queue.
func (q *Queue) copyFrom(from *Queue, it Item, m Meta) error {
	if it.Large() {
		return q.copyLarge(from, it, m)
	}
	payload, err := from.Read(it, nil)
	if err != nil {
		return err
	}
	err = q.Put(payload, m)
	if errors.Is(err, ErrTooLarge) { // the segments here are smaller
		return q.stream(bytes.NewReader(payload), it.Size, m)
	}
	again := func() bool { return errors.Is(err, ErrBacklog) || errors.Is(err, ErrDiscardOldest) }
	for tries := 0; tries < putTries && again(); tries++ {
		if errors.Is(err, ErrBacklog) {
			q.catchUp()
		} else if err = q.store.discardOldest(err, false); err != nil {
			return err
		}
		err = q.Put(payload, m)
	}
	return err
}

// putTries is how often an item is put again that was refused for a reason that may pass.
const putTries = 8

// catchUp waits for CatchUpThen.
func (q *Queue) catchUp() {
	done := make(chan struct{})
	q.CatchUpThen(func() { close(done) })
	<-done
}

func (q *Queue) copyLarge(from *Queue, it Item, m Meta) error {
	body, err := from.Open(it)
	if err != nil {
		return err
	}
	defer body.Close()
	return q.stream(body, it.Size, m)
}

// stream puts an item that is read piece by piece.
func (q *Queue) stream(r io.Reader, size int64, m Meta) error {
	u, err := q.BeginLarge(size, m)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{u}, r, make([]byte, 64<<10)); err != nil {
		u.Abort()
		return err
	}
	for err = u.Commit(); errors.Is(err, ErrBacklog); err = u.Commit() {
		q.catchUp()
	}
	return err
}

// finishMove takes the first n of the items, which were moved, and lets the others stay. It returns
// what stays.
func (q *Queue) finishMove(c cursor, items []Item, n int) (stay []Item) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if q.cursor != c { // the queue was deleted meanwhile
		return nil
	}
	for i, it := range items {
		q.endMoveLocked(it)
		switch {
		case q.cursor.Taken(it.Position):
		case i < n:
			_ = q.cursor.Take(it.Position) // if that fails, it comes again
		default:
			stay = append(stay, it)
		}
	}
	return stay
}

// stuckLocked is how many items are to move to another queue and are not on their way.
func (q *Queue) stuckLocked() int64 { return q.passed.items + int64(len(q.dead)) }

// noteStuck tells the operator of items that the other queue does not take.
func (q *Queue) noteStuck(n int, to string, err error) {
	if n > 0 {
		why := fmt.Errorf("queue %s does not take them: %w", to, err)
		q.store.reg.episodes.Note(stuckItems, q.Name(), uint64(n), why)
	}
}
