package queue

// What a queue loses or refuses, by reason: counted for its figures, and told to the operator.

import (
	"errors"
	"log/slog"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/metrics"
)

// losses are a queue's from its first one on; as a rule it has none.
type losses struct {
	expired   uint64
	discarded uint64 // at a bound, for new items
	flushed   uint64 // returned after a flush
	damaged   uint64 // by Drop
	dead      uint64 // delivered too often
	timedOut  uint64 // reads that were open for too long
	refused   [metrics.Refusals]uint64
}

// The troubles that the log tells of.
var (
	expiredItems = &metrics.Trouble{
		Level: slog.LevelInfo, Text: "expired items are%s dropped",
	}
	movedItems = &metrics.Trouble{
		Level: slog.LevelInfo, Text: "expired items are%s moved to another queue",
	}
	discardedItems = &metrics.Trouble{
		Level: slog.LevelWarn, Text: "oldest items are%s discarded for new ones",
	}
	damagedItems = &metrics.Trouble{
		Level: slog.LevelWarn, Text: "damage is%s found",
	}
	refusedItems = refusedFor()
)

func refusedFor() (all [metrics.Refusals]*metrics.Trouble) {
	for r := range all {
		all[r] = &metrics.Trouble{
			Level: slog.LevelWarn, Text: "items are%s refused", Reason: metrics.Refusal(r).String(),
		}
	}
	return all
}

// lossesLocked are the queue's losses, to be counted.
func (q *Queue) lossesLocked() *losses {
	if q.lost == nil {
		q.lost = new(losses)
	}
	return q.lost
}

// noteExpiredLocked counts items that have expired and left: expiredItems or movedItems.
func (q *Queue) noteExpiredLocked(n uint64, how *metrics.Trouble) {
	if n > 0 {
		q.lossesLocked().expired += n
		q.store.reg.episodes.Note(how, q.Name(), n, nil)
	}
}

// noteDiscardedLocked counts waiting items that were discarded at a bound.
func (q *Queue) noteDiscardedLocked(n uint64, bound error) {
	if n > 0 {
		q.lossesLocked().discarded += n
		q.store.reg.episodes.Note(discardedItems, q.Name(), n, bound)
	}
}

// Refused counts an item that was not stored, by reason, and tells the operator of it. err is what
// the client was told: that of Put or BeginLarge, or ErrTooLarge.
func (q *Queue) Refused(err error) {
	why := RefusalOf(err)
	q.store.mu.Lock()
	if q.store.exists { // else whoever makes up names would have them kept
		q.lossesLocked().refused[why]++
	}
	q.store.mu.Unlock()
	q.store.reg.episodes.Note(refusedItems[why], q.Name(), 1, err)
}

// ErrReadOnly is for an item that the server does not take for now, whatever the queue.
var ErrReadOnly = errors.New("the server takes no items")

// RefusalOf is the reason of an error of Put or BeginLarge.
func RefusalOf(err error) metrics.Refusal {
	switch {
	case errors.Is(err, ErrTooLarge):
		return metrics.TooLarge
	case errors.Is(err, ErrReadOnly):
		return metrics.ReadOnly
	case errors.Is(err, ErrLimit):
		return metrics.QueueFull
	case errors.Is(err, ErrFull):
		return metrics.DiskFull
	case disk.IsTransient(err):
		return metrics.Shortage
	}
	return metrics.Failed
}
