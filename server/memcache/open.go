package memcache

// Reliable reads: items open at this connection.

import "github.com/darner/darner/server/queue"

// openItem was fetched with /open and waits for /close or /abort. It keeps the queue's handle alive,
// so that the same name gives the same handle, also when the queue is deleted and set again.
type openItem struct {
	q    Queue
	item queue.Item
}

// closeOldest confirms, or with /abort returns, the oldest item open of the key's queue. Nothing
// open is no error.
func (s *Session) closeOldest(k *key) error {
	for i, o := range s.opens {
		if o.q != k.q {
			continue
		}
		if i >= len(s.opens)-s.get.opened {
			s.get.opened--
		}
		copy(s.opens[i:], s.opens[i+1:])
		s.opens[len(s.opens)-1] = openItem{}
		s.opens = s.opens[:len(s.opens)-1]
		if k.opts&optAbort != 0 {
			o.q.Return(o.item)
			return nil
		}
		return o.q.Confirm(o.item)
	}
	return nil
}

// mayOpen goes through the keys of the get in hand and tells whether each has room for its item
// beside what is open, or will be by the keys before it.
func (s *Session) mayOpen() bool {
	keys := s.get.keys
	if len(s.opens) == 0 && len(keys) == 1 {
		return true
	}
	for i := range keys {
		if keys[i].takes() && s.openAt(i) >= s.env.MaxOpenReads {
			return false
		}
	}
	return true
}

// openAt is how many items of its queue are open when key i of the get in hand takes its own.
func (s *Session) openAt(i int) int {
	keys := s.get.keys
	open := 0
	for _, o := range s.opens {
		if o.q == keys[i].q {
			open++
		}
	}
	for j := range keys[:i+1] {
		k := &keys[j]
		if k.q != keys[i].q {
			continue
		}
		if k.opts&(optClose|optAbort) != 0 {
			open = max(open-1, 0)
		}
		if k.opts&optOpen != 0 && j < i {
			open++
		}
	}
	return open
}
