// Package queue serves named FIFO queues, each over a log: open reads, waiters, expiry, peek, flush
// and delete. Its registry finds queues by name and parks idle ones.
//
// # Stores and queues
//
// A store is a directory and the log in it: it is loaded and parked, created and deleted, bounded,
// and items are put into it. A queue is one cursor of that log: it decides who gets which item
// next, and knows what is open, who waits and what has expired. A store has a queue of its own,
// under its name, and may have others (store.join). Each of them gets all items and takes its own,
// and the log keeps what any of them has yet to take. The interfaces log and cursor stand between
// the two. Only a store knows whether its log is open.
//
// # Where an item is
//
// An item is in exactly one place: waiting, open at one caller, or gone. Fetch and a claiming
// Waiter move it from waiting to open. Confirm (the "ack" of other servers) and Drop (for bytes
// that are damaged) move it from open to gone, Return ("nack") from open back to waiting, in its
// old place. The log knows only what is gone, so after a restart all else is waiting again.
//
// Returned items and the items that the cursor has yet to hand out are waiting. The latter are all
// younger, so returned items go out first, ordered by sequence number. While a waiter that takes is
// in the wait queue, nothing waits.
//
// # Locks
//
// They are taken in this order: store.loading, held over the disk while the log of one store is
// opened, parked or deleted; then Registry.mu or the mu of one store, never both; then those of the
// log. Store.mu guards the store and all its queues, which have no lock of their own: a Put appends
// and serves the waiters of all of them in one hold. It is held for nanoseconds, and for a few more
// with each queue in which somebody waits. A Waiter has no lock: a claim is one compare-and-swap
// under the mu of the store that claims, and Stop takes the mu of each store in turn, so a waiter
// may wait in several queues of one store. A cursor joins and leaves its log without store.mu, over
// the disk, while the store is pinned. Wake functions are called with no lock held.
//
// A function whose name ends in Locked needs the store's mu, in Registry's case Registry.mu. One
// whose name ends in AndUnlock gives it up.
package queue
