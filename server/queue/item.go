package queue

// What a caller gets of an item: where it is in the log, and what the queue needs to put it back.
// The payload is read on request.

import (
	"errors"
	"io"

	"github.com/google/btree"

	"github.com/darner/darner/wal"
)

// Item is a small value. One that is open, from Fetch or from a Waiter that takes, is given back
// with exactly one of Confirm, Return and Drop. One that was only shown, by Peek or to a Waiter
// that peeks, need not be given back: Confirm and Return do nothing for it. To give one back twice
// is a mistake of the caller: ErrNotOpen.
type Item struct {
	Position       // Seq, Size, Flags, Large
	Enqueued int64 // Unix ms
	Expires  int64 // Unix ms, 0 = never

	cursor cursor // that handed it out: a queue that was deleted and created again has another
	ticket ticket // if it is open
	fixed  bool   // Expires is a time of day
	peeked bool
	held   bool // see Queue.Hold

	// deliveries is how often it came back. After a restart it may be too low, and it is 0 in a
	// queue whose settings do not ask.
	deliveries uint32
}

// newItem is small enough for the compiler to make the item where it is wanted.
func newItem(c cursor, p Position, m Meta) Item {
	return Item{
		Position: p, Enqueued: m.Enqueued, Expires: m.Expires, cursor: c, fixed: m.Fixed(),
	}
}

func earlier(a, b Item) bool { return a.Seq < b.Seq }

// degree of the trees of returned items: they are mostly empty or tiny.
const degree = 16

func newTree(pool *btree.FreeListG[Item]) *btree.BTreeG[Item] {
	return btree.NewWithFreeListG(degree, earlier, pool)
}

// Read appends an item's payload to dst. For a large item it is an error: see Open.
//
// ErrDamaged and ErrGone mean that nobody will ever read it: call Drop and fetch, or peek,
// again. A peeked item is gone when somebody took it meanwhile. After any other error Return the
// item and tell the client.
func (q *Queue) Read(it Item, dst []byte) ([]byte, error) {
	out, err := it.cursor.Read(it.Position, dst)
	if err != nil {
		return dst, goneIfClosed(err)
	}
	return out, nil
}

// Loan is an item's payload where it lies, until its Release: see wal.Loan. An engine that has it
// in memory anyway makes one of that.
type Loan = wal.Loan

// Borrow lends an item's payload. The errors are those of Read. What becomes of the item meanwhile
// does not matter to the loan. It may wait for the disk.
func (q *Queue) Borrow(it Item) (Loan, error) {
	b, err := it.cursor.Borrow(it.Position)
	return q.passOn(it, b, err)
}

// passOn passes a loan on, unless the log was closed at the same time: who opens it again does not
// know of the loan, and may use the segment for other items.
func (q *Queue) passOn(it Item, b Loan, err error) (Loan, error) {
	if err != nil {
		return b, goneIfClosed(err)
	}
	q.store.mu.Lock()
	open := q.cursor == it.cursor
	q.store.mu.Unlock()
	if !open {
		b.Release()
		return Loan{}, ErrGone
	}
	return b, nil
}

// Body streams the payload of a large item, to one goroutine, either by Read or by Lend. All may
// wait for the disk.
type Body interface {
	io.ReadCloser

	// Lend lends the next bytes, about n and at least some, and appends the loans. The error is
	// io.EOF at the end, and none after the last bytes. The loans outlive Close.
	Lend(loans []Loan, n int64) ([]Loan, error)
}

// Open streams the payload of a large item. The errors are those of Read; ErrDamaged may come
// from the body later, and calls for Drop as well. It may wait for the disk.
func (q *Queue) Open(it Item) (Body, error) {
	r, err := it.cursor.Open(it.Position)
	return r, goneIfClosed(err)
}

// goneIfClosed returns ErrGone for an item whose log was closed meanwhile: the queue was deleted,
// or parked after a peek.
func goneIfClosed(err error) error {
	if errors.Is(err, wal.ErrClosed) {
		return ErrGone
	}
	return err
}

// Origin says where an item came from that was moved here from another queue; nil for others. It
// may wait for the disk. The errors are those of Read.
func (q *Queue) Origin(it Item) (*wal.Origin, error) {
	o, err := it.cursor.Origin(it.Position)
	return o, goneIfClosed(err)
}
