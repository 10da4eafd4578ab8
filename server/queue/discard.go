package queue

// A queue at a bound that gives up its oldest items for new ones. Space comes back by whole
// segments, and by bodies of large items.

import "errors"

// DiscardOldest gives up the oldest waiting items until there is room for what Put or Create
// refused with ErrDiscardOldest; open ones stay. It returns the refusal when there is none to be
// made. It may wait for the disk.
func (q *Queue) DiscardOldest(refused error) error { return q.store.discardOldest(refused) }

func (s *store) discardOldest(refused error) error {
	var over *overBound
	if !errors.As(refused, &over) || !over.discard {
		return refused
	}
	settings := s.settings()
	if err := s.fits(settings, over.need); err != nil {
		return final(err) // whatever goes
	}
	for {
		err := s.reg.budget.admit(s.dir(), settings, over.need)
		if err == nil {
			return nil
		}
		more, failure := s.discardSome()
		switch {
		case failure != nil:
			return failure
		case !more:
			return final(err)
		}
	}
}

// final is a refusal that nothing can be done about.
func final(err error) error {
	over := *err.(*overBound)
	over.discard = false
	return &over
}

// discardFor makes room ahead for what is about to be written, in a queue that gives up its oldest
// items.
func (s *store) discardFor(bytes int64) {
	if settings := s.settings(); settings.Discard {
		if err := s.reg.budget.admit(s.dir(), settings, bytes); err != nil {
			s.discardOldest(err) // if that fails so will the writing, which has the say
		}
	}
}

// fits reports whether there would be room if the queue were empty.
func (s *store) fits(settings Settings, need int64) error {
	const least = 24 << 10 // bytes of disk that stay: the directory, offset files
	return s.reg.budget.admit(s.dir(), settings, need+least-s.reg.usage.Used(s.dir()))
}

// discardSome drops the next slice of items of each queue, and gives back what that frees. more
// tells that it did either.
func (s *store) discardSome() (more bool, err error) {
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
		some, problem := q.dropOldest()
		n += some
		if problem == ErrUnready {
			unready = append(unready, q.head)
			continue
		}
		err = errors.Join(err, problem)
	}
	s.wanted++ // lest it is parked
	s.mu.Unlock()
	for _, head := range unready {
		head.GetReady()
		n++ // there may be some
	}
	l.GiveBack()
	after := s.reg.usage.Used(s.dir())
	s.unwant()
	return err == nil && (n > 0 || after < before), err
}

// giveUpSlice is how many bytes are given up in one hold of the lock, or expirySlice items: about
// what a segment grows by at first, so that little more goes than has to.
const giveUpSlice = 64 << 10

// recordBytes is about what a record takes besides its payload.
const recordBytes = 48

// dropOldest takes a slice of the oldest waiting items.
func (q *Queue) dropOldest() (n int, err error) {
	for bytes := int64(0); n < expirySlice && bytes < giveUpSlice; n++ {
		it, ok, err := q.next()
		if !ok || err != nil {
			return n, err
		}
		if err := q.head.Take(it.Position); err != nil {
			q.putBack(it)
			return n, err
		}
		q.counts.discardedFull++
		bytes += it.Size + recordBytes
	}
	return n, nil
}
