// Package queue serves named FIFO queues, each over a log: open reads, waiters, expiry,
// peek, flush and delete, and the registry that finds queues by name and keeps idle ones parked.
//
// # Stores and queues
//
// A store is a directory and the log in it: it is loaded and parked, made and deleted, bounded, and
// items are put into it. A queue is one cursor of that log: who gets which item next, what is open,
// who waits, what has expired. A store has a queue of its own, under its name, and may have others
// (store.join): each gets all items and takes its own, and the log keeps what any has yet to take.
// Between the two are the interfaces log and cursor. Nobody but a store knows whether its log is open.
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
// In the order they are taken: store.loading, held over the disk while the log of one store is
// opened, parked or deleted; then either Registry.mu or store.mu, never both, and of stores one at a
// time; then those of the log. Store.mu guards the store and all its queues, which have no lock of
// their own: a Put appends and serves the lines of all of them in one hold. It is held for
// nanoseconds, for some more with each queue in which somebody waits. A Waiter has no lock: a claim
// is one compare-and-swap under the mu of the store that claims, and Stop takes the mu of each store
// in turn, so a waiter may stand in several queues of one store. A cursor joins and leaves its log
// without store.mu, over the disk, while the store is wanted. Wake functions are called with no
// lock held.
package queue
