package queue

// The seam between who gets which item and where the items are kept. A store has a log, and each of
// its queues a cursor of it. There are two implementations: package wal (log_wal.go), and one in
// memory that tests run on.

import (
	"context"
	"io"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

// log keeps the items of a store, in their order, until each of its cursors has taken them. All
// methods may be called from any goroutine. Those whose names begin with Try, and those that take a
// function to call, never wait for the disk. That function is called on another goroutine and must
// not block.
type log interface {
	// TryAppend gives an item its place at the end. It returns ErrBacklog, or ErrUnready if that
	// takes a moment only: CatchUp waits until it is worth trying again, CatchUpThen calls fn then.
	TryAppend(payload []byte, m Meta) (Position, error)
	CatchUp()
	CatchUpThen(fn func()) (stop func() bool)

	// TryUpload begins an item of size bytes, at least 1, that TryAppend would take. Its errors are
	// those of TryAppend.
	TryUpload(size int, m Meta) (inlineBody, error)

	// BeginLarge begins a large item of size bytes.
	BeginLarge(size int64, m Meta) (largeBody, error)

	// Prepare prepares what the first append takes.
	Prepare()

	// SyncThen calls fn when all that was appended and taken before is on stable storage, or cannot
	// be.
	SyncThen(fn func(error))

	// GiveBack frees the space of what is taken. Slim frees what a log that is empty or nearly so
	// holds for nothing, until ctx ends.
	GiveBack()
	Slim(ctx context.Context)

	// Cursor returns the cursor of that name, and creates a new one. The log's own is "".
	Cursor(name string, from wal.Start) (cursor, error)

	// RemoveConsumer ends the cursor of that name, which is not the log's own, for good.
	RemoveConsumer(name string) error

	Next() uint64 // the number of the next item
	Stats() wal.Stats
	Lent() bool   // loans are out, for which the log must stay open
	Err() error   // why it takes no more items; nil while all is well
	Close() error // syncs
	Abandon()     // for a log that is deleted
}

// cursor hands out the items of a log, in order and each once, and says which are gone for good.
// What it has handed out and not taken comes again when the log is opened the next time.
type cursor interface {
	// TryNextInto hands out the next item, with its More, if it has one, in more. After ErrUnready,
	// GetReady prepares what was lacking, and ReadyThen calls fn when that is done.
	TryNextInto(more *More) (Position, Meta, bool, error)
	GetReady()
	ReadyThen(fn func())

	// Read appends an item's payload, Borrow lends it, Open streams that of a large one.
	// ErrDamaged, ErrGone.
	Read(p Position, dst []byte) ([]byte, error)
	TryRead(p Position, dst []byte) ([]byte, error)
	Borrow(p Position) (Loan, error)
	TryBorrow(p Position) (Loan, error)
	Open(p Position) (Body, error)

	// Origin says where an item came from; nil if it was not moved here. It waits for the disk.
	Origin(p Position) (*wal.Origin, error)

	// Seq is the number below which TryNextInto hands out nothing any more. TryFindInto returns an
	// item by its number, wherever that is; false if it is taken. Else it is as TryNextInto.
	Seq() uint64
	TryFindInto(more *More, seq uint64) (Position, Meta, bool, error)

	// EachDue calls fn for the items that have a Due after a time, in order. It waits for the disk;
	// nobody may append meanwhile.
	EachDue(after int64, fn func(p Position, m Meta)) error

	// Expires is when the first item expires, in Unix ms, or earlier; 0: none does. Items expire at
	// their Expires and, unless maxAge is 0, so many ms after they were put.
	Expires(maxAge int64) int64

	// EachExpired calls fn for the items whose Expires is at a time or before, or that were put at
	// another or before, in order from a number on. fn says whether the item stays, and whether to
	// go on. It returns the number to go on from; 0 at the end. It waits for the disk.
	EachExpired(expires, put int64, from uint64, fn func(Position, Meta) (stays, more bool)) (
		next uint64, err error)

	// Revisit has EachExpired come at once to an item that stayed. As a rule it takes its time.
	Revisit(p Position)

	// NoteDelivered notes how often an item was delivered, Deliveries returns that: what the note
	// said at least, after a restart.
	NoteDelivered(p Position, n uint32)
	Deliveries(seq uint64) uint32

	Take(p Position) error         // for good, in any order
	Taken(p Position) bool         // one by one, or by SkipToEnd
	SkipToEnd() error              // takes all there is, in constant time
	Pending() (items, bytes int64) // not taken
}

// inlineBody takes the payload of an item piece by piece: see InlineUpload.
type inlineBody interface {
	Lend() []byte
	Lent(n int, failed bool) (last byte)
	TryWrite(p []byte) (int, error)
	Write(p []byte) (int, error)
	Aside() bool
	Move(by int64) // adds to the item's times
	TryCommit() (Position, error)
	Commit() (Position, error)
	Abort()
}

// largeBody takes the payload of a large item.
type largeBody interface {
	io.Writer
	Move(by int64) // adds to the item's times
	TryCommit() (Position, error)
	Abort() error
}

// logs opens logs by their directories.
type logs interface {
	// open opens the log of a directory, and creates one if there is none.
	open(dir string, o wal.Options) (log, error)

	// glance returns the figures of a log that is not open.
	glance(fsys disk.FS, dir string) (wal.Glance, error)
}

// noCursor is the cursor of a queue that is not loaded, or does not exist.
type noCursor struct{}

func (noCursor) TryNextInto(*More) (p Position, m Meta, ok bool, err error) {
	return p, m, false, nil
}
func (noCursor) GetReady()                                      {}
func (noCursor) ReadyThen(fn func())                            { go fn() }
func (noCursor) Read(_ Position, dst []byte) ([]byte, error)    { return dst, ErrGone }
func (noCursor) TryRead(_ Position, dst []byte) ([]byte, error) { return dst, ErrGone }
func (noCursor) Borrow(Position) (Loan, error)                  { return Loan{}, ErrGone }
func (noCursor) TryBorrow(Position) (Loan, error)               { return Loan{}, ErrGone }
func (noCursor) Open(Position) (Body, error)                    { return nil, ErrGone }
func (noCursor) Seq() uint64                                    { return 0 }
func (noCursor) TryFindInto(*More, uint64) (p Position, m Meta, ok bool, err error) {
	return p, m, false, nil
}
func (noCursor) Expires(int64) int64 { return 0 }
func (noCursor) EachExpired(
	int64, int64, uint64, func(Position, Meta) (bool, bool),
) (uint64, error) {
	return 0, nil
}
func (noCursor) Revisit(Position)                          {}
func (noCursor) EachDue(int64, func(Position, Meta)) error { return nil }
func (noCursor) NoteDelivered(Position, uint32)            {}
func (noCursor) Deliveries(uint64) uint32                  { return 0 }
func (noCursor) Origin(Position) (*wal.Origin, error)      { return nil, ErrGone }
func (noCursor) Take(Position) error                       { return nil }
func (noCursor) Taken(Position) bool                       { return true }
func (noCursor) SkipToEnd() error                          { return nil }
func (noCursor) Pending() (items, bytes int64)             { return 0, 0 }
