package queue

// The seam between who gets which item and where the items are kept. A store has a log, each of its
// queues a cursor of it. There are two of each: those of package wal (log_wal.go), and some in
// memory that tests run on.

import (
	"context"
	"io"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

// log is what the items of a store are kept in, in their order, until each of its cursors has taken
// them. All methods may be called from any goroutine. Those whose names begin with Try, and those
// that take a function to call, never wait for the disk; that function is called on another
// goroutine and must not block.
type log interface {
	// TryAppend gives an item its place at the end. ErrBehind, or ErrUnready where it takes a
	// moment only: CatchUp waits until it is worth trying again, CatchUpThen tells when it is.
	TryAppend(payload []byte, m Meta) (Position, error)
	CatchUp()
	CatchUpThen(fn func()) (stop func() bool)

	// Create begins a large item.
	Create(size int64, m Meta) (largeBody, error)

	// Prepare gets ready what the first append takes.
	Prepare()

	// SyncThen calls fn when all that was appended and taken before is on stable storage, or cannot
	// be.
	SyncThen(fn func(error))

	// GiveBack returns the space of what is taken, Slim that of what a log holds in vain.
	GiveBack()
	Slim(ctx context.Context)

	// Cursor returns the cursor of that name, "" being the log's own, and makes it when it is new.
	Cursor(name string, from wal.Start) (cursor, error)

	// RemoveConsumer ends the cursor of that name, which is not the log's own, for good.
	RemoveConsumer(name string) error

	Stats() wal.Stats
	Err() error   // why it takes no more items; nil while all is well
	Close() error // syncs
	Abandon()     // is for a log that is deleted
}

// cursor hands out the items of a log, in order and each once, and says which are gone for good.
// What it has handed out and not taken comes again when the log is opened the next time.
type cursor interface {
	// TryNext hands out the next item. ErrUnready: GetReady gets ready what it lacked, ReadyThen
	// tells when it is.
	TryNext() (Position, Meta, bool, error)
	GetReady()
	ReadyThen(fn func())

	// Read appends an item's payload, Open streams that of a large one. ErrDamaged, ErrGone.
	Read(p Position, dst []byte) ([]byte, error)
	TryRead(p Position, dst []byte) ([]byte, error)
	Open(p Position) (io.ReadCloser, error)

	Take(p Position) error         // for good, in any order
	Taken(p Position) bool         // one by one, or by SkipToEnd
	SkipToEnd() error              // takes all there is, in constant time
	Pending() (items, bytes int64) // that are not taken
}

// largeBody takes the payload of a large item.
type largeBody interface {
	io.Writer
	Move(by int64) // corrects the item's times
	TryCommit() (Position, error)
	Abort() error
}

// logs is where logs are.
type logs interface {
	// open opens the log of a directory, and makes it when there is none.
	open(dir string, o wal.Options) (log, error)

	// look tells what is in one that nobody has open.
	look(fsys disk.FS, dir string) (wal.Glance, error)
}

// nothing is the cursor of a queue that is not loaded, or does not exist.
type nothing struct{}

func (nothing) TryNext() (p Position, m Meta, ok bool, err error) { return p, m, false, nil }
func (nothing) GetReady()                                         {}
func (nothing) ReadyThen(fn func())                               { go fn() }
func (nothing) Read(_ Position, dst []byte) ([]byte, error)       { return dst, ErrGone }
func (nothing) TryRead(_ Position, dst []byte) ([]byte, error)    { return dst, ErrGone }
func (nothing) Open(Position) (io.ReadCloser, error)              { return nil, ErrGone }
func (nothing) Take(Position) error                               { return nil }
func (nothing) Taken(Position) bool                               { return true }
func (nothing) SkipToEnd() error                                  { return nil }
func (nothing) Pending() (items, bytes int64)                     { return 0, 0 }
