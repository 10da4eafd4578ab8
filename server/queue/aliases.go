package queue

// What the queues share with the log below them, so that a caller need not know the log.

import (
	"fmt"

	"github.com/darner/darner/wal"
)

type (
	Meta     = wal.Meta     // what an item is put with besides its payload
	More     = wal.More     // what few items have of it
	Position = wal.Position // where an item is in its log
)

// FixedExpiry is the More of an item whose Expires is a time of day.
var FixedExpiry = wal.FixedExpiry

// Errors that a caller may want to tell apart with errors.Is.
var (
	ErrFull      = wal.ErrFull     // nothing was stored; goes away when space comes back
	ErrFailed    = wal.ErrFailed   // the queue takes no more items until the server is restarted
	ErrDamaged   = wal.ErrDamaged  // the item's bytes are lost: Drop it
	ErrGone      = wal.ErrGone     // the item was taken, flushed or deleted meanwhile
	ErrBacklog   = wal.ErrBacklog  // nothing was stored: CatchUpThen says when to try again
	ErrUnready   = wal.ErrUnready  // it takes the disk, or long: ReadyThen says when to try again
	ErrTooLarge  = wal.ErrTooLarge // the item has to go through BeginLarge
	ErrNotLoaded = fmt.Errorf("the queue is not loaded: %w", ErrUnready)
)
