package memcache

// What the protocol needs from the queues. Any engine with these methods will do; local.go has the
// queues of a data directory. The types that the two sides share are package queue's: items and
// what they are put with, uploads, figures, errors.

import (
	"context"

	"github.com/darner/darner/server/queue"
)

// Registry is all queues, by name.
type Registry interface {
	// Queue returns the queue of a name, whether it exists or not: always an equal one for as long
	// as somebody holds it. The error is for a name that no queue can have.
	Queue(name []byte) (Queue, error)

	// NewWaiter returns a waiter for these queues; wake is the Session's.
	NewWaiter(wake func()) Waiter

	// FlushAll and FlushAllExpired may wait for the disk. Sum does not; it calls seen for each
	// queue that exists, in the order of their names. When ctx ends, all three stop between two
	// queues.
	FlushAll(ctx context.Context) error
	FlushAllExpired(ctx context.Context) (items int, err error)
	Sum(ctx context.Context, seen func(Queue)) queue.Sum

	ResetStats()
}

// Queue is one queue. Methods that may wait for the disk run in a Job. All others return
// queue.ErrUnready where they would have to wait, and queue.ErrNotLoaded where Load or Create
// helps. Functions that are given to ReadyThen and CatchUpThen are called when it is worth trying
// again.
type Queue interface {
	Name() string
	Exists() bool
	Parked() bool // it exists, and has to be loaded first
	Load() error  // may wait

	// Bounds that the session keeps, 0 where the queue has none of its own.
	MaxItemSize() int64 // bytes
	MaxOpenReads() int  // of one connection

	// Putting. What TryPut and TryUpload refuse with queue.ErrBacklog is tried again when
	// CatchUpThen calls fn.
	// After other refusals Relieve tells whether it helps to try again.
	TryPut(payload []byte, m queue.Meta) error
	CatchUpThen(fn func()) (stop func())
	SyncThen(fn func(error))     // when all that was put is synced
	Create() error               // Load that creates; may wait
	Relieve(refused error) error // may wait
	TryUpload(size int, m queue.Meta) (queue.InlineUpload, error)
	BeginLarge(size int64, m queue.Meta) (queue.Upload, error) // a large item; may wait

	// Getting. What was fetched ends with exactly one of Confirm, Return and Drop.
	TryFetch() (it queue.Item, ok bool, err error)
	TryPeek() (it queue.Item, ok bool, err error)
	ReadyThen(fn func()) (stop func())
	Reclaim(err error) bool // whether it freed what err lacked; may wait
	TryRead(it queue.Item, dst []byte) ([]byte, error)
	TryBorrow(it queue.Item) (queue.Loan, error)
	Borrow(it queue.Item) (queue.Loan, error) // may wait
	Open(it queue.Item) (queue.Body, error)   // a large one; may wait
	Confirm(it queue.Item) error
	Return(it queue.Item) error
	HasEnded(it queue.Item) bool // by itself meanwhile
	Drop(it queue.Item)

	// Hold notes that an item that was fetched stays open until the client says more.
	Hold(it *queue.Item)

	// Refused notes that an item was not stored, with the error of what was tried last.
	Refused(err error)

	// As a whole. All may wait but KnownStats.
	Flush() error
	FlushExpired() (items int, err error)
	Delete() error
	Stats() queue.Stats
	Info() (head queue.Info, ok bool, err error)
	KnownStats() (s queue.Stats, known bool)
	ReadStats() error
}

// Waiter waits in one or several queues for the first item. It is used from one goroutine and,
// after Stop, for the next wait.
type Waiter interface {
	// TryWait takes an item at once if there is one; else it enters the wait queue. With peek the
	// item is only shown; all calls of one wait say the same. It returns whether an item is
	// claimed, there or meanwhile in another queue.
	TryWait(q Queue, peek bool) (claimed bool, err error)

	// Done reports whether the wait is over, for whatever reason; Stop tells which. Ask after wake
	// was called.
	Done() bool

	// Stop ends the wait. If ok, an item of q was claimed, and is the caller's now.
	Stop() (q Queue, it queue.Item, ok bool)
}
