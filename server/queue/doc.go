// Package queue serves named FIFO queues, each over a log of its own: open reads, waiters, expiry,
// peek, flush and delete, and the registry that finds queues by name and keeps idle ones parked.
//
// # Where an item is
//
// An item is in exactly one place: waiting, open at one caller, or gone. Fetch and a claiming
// Waiter move it from waiting to open; Confirm and Drop from open to gone; Return from open back
// to waiting, in its old place. The log knows only what is gone, so that all else is waiting again
// after a restart.
//
// What waits is the returned items, ordered by sequence number, and then what the log's consumer
// has not handed out yet: the latter are all younger, so returned items go out first. While a
// taking waiter stands in line, nothing waits.
//
// # Locks
//
// In the order they are taken: Queue.loading, held over the disk while the log of one queue is
// opened, parked or deleted; then either Registry.mu or Queue.mu, never both. Queue.mu guards the
// queue's state and is held for nanoseconds. A Waiter has no lock: a claim is one compare-and-swap
// under the mu of the queue that claims. Wake functions are called with no lock held.
package queue
