package memcache

// What a Waiting session waits for: an item, stable storage, or a queue that prepares something.

import "sync/atomic"

// syncWait is a SET that waits for stable storage.
type syncWait struct {
	then func(error) // created once, given to the queue
	err  error       // valid when done
	done atomic.Bool
}

// startSync answers the current SET when its item is on stable storage.
func (s *Session) startSync() {
	w := &s.sync
	if w.then == nil {
		w.then = func(err error) {
			w.err = err
			w.done.Store(true)
			s.wake()
		}
	}
	w.done.Store(false)
	s.set.q.SyncThen(w.then)
	s.next = (*Session).awaitSync
}

func (s *Session) awaitSync() {
	if !s.sync.done.Load() {
		s.state = Waiting
		return
	}
	if s.sync.err != nil {
		s.refused(s.sync.err)
		s.finishBody(serverError(s.sync.err))
		return
	}
	s.env.Counters.CmdSet.Add(1)
	s.finishBody(itemStored)
}

// await has the current request wait, without a worker, until it is worth trying again; next is the
// step after that. then is CatchUpThen or ReadyThen of a queue.
func (s *Session) await(then func(fn func()) (stop func()), next func(*Session)) {
	done := new(atomic.Bool)
	s.stopAwaiting = then(func() {
		done.Store(true)
		s.wake()
	})
	s.next = func(s *Session) {
		if !done.Load() {
			s.state = Waiting
			return
		}
		s.stopAwaiting = nil
		s.next = next
	}
}

// endAwait ends the wait of await.
func (s *Session) endAwait() {
	if s.stopAwaiting != nil {
		s.stopAwaiting()
		s.stopAwaiting = nil
	}
}

// startWait lets the current get wait in each of its queues for the first item.
func (s *Session) startWait() {
	if s.waiter == nil {
		s.waiter = s.env.Registry.NewWaiter(s.wake)
	}
	g := &s.get
	for i := range g.keys {
		k := &g.keys[i]
		if !k.fetches() {
			continue
		}
		claimed, err := s.waiter.TryWait(k.q, g.peeks)
		if err != nil {
			s.stopWaiting()
			g.at = i
			s.fetchFailed(err, (*Session).startWait)
			return
		}
		if claimed {
			break
		}
	}
	s.next = (*Session).awaitItem
}

func (s *Session) awaitItem() {
	g := &s.get
	if !s.waiter.Done() && s.env.Steady() < g.deadline && s.goesOn() {
		s.state = Waiting
		return
	}
	q, item, ok := s.waiter.Stop()
	if !ok {
		s.endGet(endOfAnswer)
		return
	}
	g.at = g.find(q)
	s.deliver(item)
}

// goesOn reports whether those who wait may go on: the server does not stop, and takes gets.
func (s *Session) goesOn() bool { return !s.draining.Load() && s.env.Status.State().Gets() }

// stopWaiting ends the wait for an item. One that came meanwhile goes back.
func (s *Session) stopWaiting() {
	if s.waiter == nil {
		return
	}
	if q, item, ok := s.waiter.Stop(); ok {
		q.Return(item)
	}
}
