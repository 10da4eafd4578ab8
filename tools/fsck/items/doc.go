// Package items reads a queue's items from its files, offline: items in the queue, items that were
// taken and are still on disk, and the damage between them. It lists items, and puts taken ones
// back.
package items
