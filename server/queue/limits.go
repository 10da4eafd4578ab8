package queue

// The bounds of a queue's items and of their bytes. They count what waits, is delayed or open. An
// item is compared with them in the hold of the lock that appends it, so they hold exactly.

import (
	"errors"
	"fmt"
)

// MaxItemSize is the size of the largest payload that the queue takes, in bytes; 0: it has no bound
// of its own.
func (q *Queue) MaxItemSize() int64 { return q.store.settings().MaxItemSize }

// MaxOpenReads is how many items of the queue a connection may have open; 0: it does not say.
func (q *Queue) MaxOpenReads() int { return q.store.settings().MaxOpenReads }

// The refusals at a queue's own bounds.
const (
	atMaxItems   = "the queue is at its limit of %d items (max-items): take items, or raise it"
	atMaxBytes   = "the queue is at its limit of %d bytes (max-bytes): take items, or raise it"
	atStuck      = ". %d of the items wait for another queue to take them"
	atMaxDelayed = "the queue has as many delayed items as it may, %d (max-delayed): wait until " +
		"some are due, or raise it"
)

// admitLocked admits an item of so many bytes to the store, which is loaded. At a bound, what has
// expired at the head goes for it, and the oldest items of a queue that discards. ErrDiscardOldest
// says that more can go than in one hold of the lock.
func (s *store) admitLocked(size int64, delayed bool) error {
	set := s.settings()
	if delayed && s.own.delayedLocked().items >= set.maxDelayed() {
		return &overBound{
			text: fmt.Sprintf(atMaxDelayed, set.maxDelayed()), own: true, items: true,
		}
	}
	if set.MaxItems == 0 && set.MaxBytes == 0 || s.overLocked(set, size) == nil {
		return nil
	}
	q := &s.own
	_, more := q.peekHeadLocked() // drops what has expired
	over := s.overLocked(set, size)
	for n := 0; over != nil && over.discard && !over.clears && n < expirySlice; n++ {
		bound := over
		it, ok, err := q.popLocked() // drops what has expired before the next one
		over = s.overLocked(set, size)
		switch {
		case err == ErrUnready:
			return bound
		case ok && (over == nil || over.clears):
			q.putBackLocked(it)
		case !ok && over != nil && !over.clears:
			return errors.Join(over.final(), err)
		case ok:
			if err := q.discardLocked(it, bound); err != nil {
				return errors.Join(over.final(), err)
			}
			over = s.overLocked(set, size)
		}
	}
	switch {
	case over == nil:
		return nil
	case more:
		over.discard = true
	}
	return over
}

// overLocked is which bound of the queue forbids an item of so many bytes; nil if none does.
func (s *store) overLocked(set *Settings, size int64) *overBound {
	items, bytes := s.own.cursor.Pending()
	items, bytes = items+s.reserved.items, bytes+s.reserved.bytes
	refused := func(format string, bound int64) *overBound {
		text := fmt.Sprintf(format, bound)
		if n := s.own.stuckLocked(); n > 0 {
			text += fmt.Sprintf(atStuck, n)
		}
		clears := s.own.mayClearAwayLocked()
		return &overBound{
			text: text, need: size,
			own: true, items: true, discard: set.Discard || clears, clears: clears,
		}
	}
	switch {
	case set.MaxBytes > 0 && size > set.MaxBytes: // however much is discarded
		over := refused(atMaxBytes, set.MaxBytes)
		over.discard, over.clears = false, false
		return over
	case set.MaxItems > 0 && items+1 > set.MaxItems:
		return refused(atMaxItems, set.MaxItems)
	case set.MaxBytes > 0 && bytes+size > set.MaxBytes:
		return refused(atMaxBytes, set.MaxBytes)
	}
	return nil
}

// discardLocked takes the head, which was popped, for a new item.
func (q *Queue) discardLocked(it Item, bound error) error {
	if err := q.cursor.Take(it.Position); err != nil {
		q.putBackLocked(it)
		return err
	}
	q.noteDiscardedLocked(1, bound)
	return nil
}

// appendReserved is for an item that is appended without the lock: it counts as soon as it is
// admitted. It may wait for the disk.
func (s *store) appendReserved(
	size int64, delayed bool, do func() (Position, error),
) (p Position, err error) {
	if err := s.reserve(size, delayed); err != nil {
		return p, err
	}
	defer func() {
		s.mu.Lock()
		s.reserved.items--
		s.reserved.bytes -= size
		s.mu.Unlock()
	}()
	return do()
}

func (s *store) reserve(size int64, delayed bool) (err error) {
	for {
		s.mu.Lock()
		if err = s.admitLocked(size, delayed); err == nil {
			s.reserved.items++
			s.reserved.bytes += size
		}
		s.mu.Unlock()
		var over *overBound
		if !errors.As(err, &over) || !over.discard {
			return err
		}
		if err := s.makeWay(over, false); err != nil { // it may be an item that moves here
			return err
		}
	}
}

// makeWay is admitLocked with as many holds of the lock as it takes. It may wait for the disk. wait
// is as for clearAway.
func (s *store) makeWay(refused *overBound, wait bool) error {
	for {
		if there, err := s.lockLoaded(false); err != nil {
			return err
		} else if !there {
			s.mu.Unlock()
			return nil
		}
		c := s.own.cursor
		before, _ := c.Pending()
		err := s.admitLocked(refused.need, false)
		s.pins++ // it must not be parked
		s.mu.Unlock()
		var over *overBound
		if goesOn := errors.As(err, &over) && over.discard; !goesOn {
			s.unpin()
			return err
		}
		if c.GetReady(); over.clears {
			s.own.clearAway(over, wait)
		}
		after, _ := c.Pending()
		s.unpin()
		if before == after && (over.clears || s.own.waitsForNothing()) {
			return over.final()
		}
	}
}

// waitsForNothing reports whether no item waits.
func (q *Queue) waitsForNothing() bool {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	return q.waitingLocked().items == 0
}

// waitingLocked is the items that wait and are due.
func (q *Queue) waitingLocked() sum {
	items, bytes := q.cursor.Pending()
	for _, away := range [...]sum{q.openTotals, q.delayedLocked(), q.passed, q.movingLocked()} {
		items -= away.items
		bytes -= away.bytes
	}
	for i := range q.dead {
		items--
		bytes -= q.dead[i].Size
	}
	return sum{max(0, items), max(0, bytes)}
}
