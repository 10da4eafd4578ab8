package queue

// A queue that discards its oldest items for new ones when it is at a bound. Space is freed by
// whole segments, and by bodies of large items.

import "errors"

// DiscardOldest discards the oldest waiting items until there is room for what Put or BeginLarge
// refused with ErrDiscardOldest; open items stay. It returns the refusal when no room can be made.
// It may wait for the disk.
func (q *Queue) DiscardOldest(refused error) error {
	return q.store.discardOldest(refused, true)
}

// discardOldest is DiscardOldest. wait is as for Queue.clearAway.
func (s *store) discardOldest(refused error, wait bool) error {
	var over *overBound
	if !errors.As(refused, &over) || !over.discard {
		return refused
	}
	if over.items {
		return s.makeWay(over, wait)
	}
	settings := s.settings()
	if over := s.checkEmpty(settings, over.need); over != nil {
		return over.final() // however much is discarded
	}
	for {
		over := s.reg.budget.check(s.dir(), settings, over.need)
		if over == nil {
			return nil
		}
		more, failure := s.discardSome(over)
		switch {
		case failure != nil:
			return failure
		case !more:
			return over.final()
		}
	}
}

// discardFor makes room for what is about to be written, in a queue that discards its oldest items.
func (s *store) discardFor(bytes int64) {
	if settings := s.settings(); settings.Discard {
		if err := s.reg.budget.admit(s.dir(), settings, bytes); err != nil {
			_ = s.discardOldest(err, false) // else the write fails, with its own error
		}
	}
}

// checkEmpty returns why there would be no room even if the queue were empty.
func (s *store) checkEmpty(settings *Settings, need int64) *overBound {
	const least = 24 << 10 // bytes of disk that stay: the directory, offset files
	return s.reg.budget.check(s.dir(), settings, need+least-s.reg.usage.Used(s.dir()))
}

// discardSome discards the next slice of items of each queue, and frees their space. more is false
// when it could do neither. bound is what calls for it.
func (s *store) discardSome(bound error) (more bool, err error) {
	if there, err := s.lockLoaded(false); err != nil {
		return false, err
	} else if !there {
		s.mu.Unlock()
		return false, nil
	}
	l := s.log
	before := s.reg.usage.Used(s.dir())
	var unready []cursor
	n := 0
	for q := range s.queuesLocked() {
		some, problem := q.dropOldestLocked(bound)
		n += some
		if problem == ErrUnready {
			unready = append(unready, q.cursor)
			continue
		}
		err = errors.Join(err, problem)
	}
	s.pins++ // it must not be parked
	s.mu.Unlock()
	for _, c := range unready {
		c.GetReady()
		n++ // there may be some
	}
	l.GiveBack()
	after := s.reg.usage.Used(s.dir())
	s.unpin()
	return err == nil && (n > 0 || after < before), err
}

// discardSlice is how many bytes are discarded in one hold of the lock, unless expirySlice items
// are fewer. It is about what a segment grows by at first, so that not much more goes than must.
const discardSlice = 64 << 10

// recordBytes is about what a record takes besides its payload.
const recordBytes = 48

// dropOldestLocked takes a slice of the oldest waiting items. Those that have expired count as
// such, unless they should have gone to another queue.
func (q *Queue) dropOldestLocked(bound error) (n int, err error) {
	discarded, expired := uint64(0), uint64(0)
	defer func() {
		q.noteDiscardedLocked(discarded, bound)
		q.noteExpiredLocked(expired, expiredItems)
	}()
	for bytes := int64(0); n < expirySlice && bytes < discardSlice; n++ {
		it, ok, err := q.nextLocked()
		if !ok || err != nil {
			return n, err
		}
		if q.isMovingLocked(it.Seq) { // it goes anyway
			continue
		}
		if err := q.cursor.Take(it.Position); err != nil {
			q.putBackLocked(it)
			return n, err
		}
		if moves := q.store.settings().ExpireTo != ""; !moves && q.hasExpiredLocked(it) {
			expired++
		} else {
			discarded++
		}
		bytes += it.Size + recordBytes
	}
	return n, nil
}
