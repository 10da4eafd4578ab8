package queue

// The words that the queues share with the log beneath them: who uses a queue need not know the
// log.

import (
	"fmt"

	"github.com/darner/darner/wal"
)

type (
	Meta     = wal.Meta     // what an item is put with besides its payload
	Position = wal.Position // where an item is in its log
)

// Errors that a caller may want to tell apart with errors.Is.
var (
	ErrFull      = wal.ErrFull     // nothing was stored; goes away when space comes back
	ErrFailed    = wal.ErrFailed   // the queue takes no more items until the server is restarted
	ErrDamaged   = wal.ErrDamaged  // the item's bytes are lost: Drop it
	ErrGone      = wal.ErrGone     // the item was taken, flushed or deleted meanwhile
	ErrBehind    = wal.ErrBacklog  // nothing was stored: CatchUpThen tells when to try again
	ErrUnready   = wal.ErrUnready  // it would take the disk, or long: ReadyThen tells when to try again
	ErrTooLarge  = wal.ErrTooLarge // the item has to go through Create
	ErrNotLoaded = fmt.Errorf("the queue is not loaded: %w", ErrUnready)
)
