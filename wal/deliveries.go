package wal

// How often items were delivered, noted in the consumer's offset file. Only items with a note cost
// anything, and a bounded number of them has one.

import "github.com/darner/darner/wal/internal/offset"

// NoteDelivered notes that an item was delivered n times by now. The note survives restarts, as the
// least that it may have been: after a power cut, and where a great many items have one, it may be
// lost or say less. It is gone when the item is taken. NoteDelivered never waits for the disk.
func (c *Consumer) NoteDelivered(p Position, n uint32) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.isClosed() || !c.st.Deliver(p.Seq, n) {
		return
	}
	c.save(offset.Delivered(p.Seq, n))
	c.dirty = true
	l.touchLocked()
	c.checkFault() // a log that fails says so to whoever appends or takes next
}

// Deliveries returns how often an item was delivered at least, as far as NoteDelivered noted it; 0
// once it is taken.
func (c *Consumer) Deliveries(seq uint64) uint32 {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.st.Deliveries(seq)
}
