package memcache

// What the protocol needs of the queues behind it. Whatever has these methods can stand there: the
// queues of a data directory do, see local.go. What the two sides speak of is package queue's:
// items and what they are put with, uploads, figures, errors.

import (
	"io"

	"github.com/darner/darner/server/queue"
)

// Registry is all queues, by name.
type Registry interface {
	// Queue returns the queue of a name, whether there is one or not: always an equal one for as
	// long as somebody holds it. The error is a name that no queue can have.
	Queue(name []byte) (Queue, error)

	// NewWaiter returns what waits in lines of these queues; wake is Session's.
	NewWaiter(wake func()) Waiter

	// Each calls fn for each queue that exists, in the order of their names and until it returns
	// false.
	Each(fn func(Queue) bool)

	FlushAll(stop func() bool) error // may wait; gives up with queue.ErrClosed when stop says so
	ResetStats()
	Sum(stop func() bool) queue.Sum // without the disk; gives up between two queues when stop says so
}

// Queue is one queue. Methods that may wait run in a Job; all others answer queue.ErrUnready where
// they would have to, queue.ErrNotLoaded where Load or Make helps, and what they call fn for is
// tried again then.
type Queue interface {
	Name() string
	Exists() bool
	Parked() bool // it exists, and is to be loaded first
	Load() error  // may wait

	// Putting. What TryPut refuses with queue.ErrBehind is tried again when CatchUpThen calls fn;
	// of other refusals Relieve tells whether it helps to try again.
	TryPut(payload []byte, m queue.Meta) error
	CatchUpThen(fn func()) (stop func())
	SyncThen(fn func(error))                               // when all that was put is on stable storage
	Make() error                                           // Load that creates; may wait
	Relieve(refused error) error                           // may wait
	Create(size int64, m queue.Meta) (queue.Upload, error) // a large item; may wait

	// Getting. What was fetched is given back with exactly one of Confirm, Return and Drop.
	TryFetch() (it queue.Item, ok bool, err error)
	TryPeek() (it queue.Item, ok bool, err error)
	ReadyThen(fn func()) (stop func())
	Spare(err error) bool // whether something was made free that err lacked; may wait
	TryRead(it queue.Item, dst []byte) ([]byte, error)
	Read(it queue.Item, dst []byte) ([]byte, error) // may wait
	Open(it queue.Item) (io.ReadCloser, error)      // a large one; may wait
	Confirm(it queue.Item) error
	Return(it queue.Item)
	Drop(it queue.Item)

	// As a whole. All may wait but Known.
	Flush() error
	Delete() error
	Stats() queue.Stats
	Known() (s queue.Stats, known bool)
	Look() error
}

// Waiter waits in the lines of one or several queues for the first item. It is used from one
// goroutine and, after Stop, for the next wait.
type Waiter interface {
	// TryWait takes a place in the line of a queue, to take an item there or to be shown it, or
	// claims at once what is there. It returns whether an item is claimed, there or elsewhere
	// meanwhile.
	TryWait(q Queue, peek bool) (claimed bool, err error)

	// Done reports that the wait is over, for whatever reason: Stop tells. Look when wake was
	// called.
	Done() bool

	// Stop ends the wait; ok tells that an item of q was claimed, which is the caller's now.
	Stop() (q Queue, it queue.Item, ok bool)
}
