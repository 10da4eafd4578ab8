package memcache

// Reliable reads: items open at this connection.

import "github.com/darner/darner/server/queue"

// openItem was fetched with /open, and ends with /close or /abort. It keeps the queue's handle
// alive, so that the same name has the same handle even if the queue is deleted and created again.
type openItem struct {
	q    Queue
	item queue.Item
}

// maxAhead is how many items a connection may have open when it opens one with /ahead.
const maxAhead = 1024

// closeOldest confirms, or with /abort returns, the oldest open item that the key is for. It is no
// error if there is none.
func (s *Session) closeOldest(k *getKey) error {
	for i, o := range s.opens {
		if !s.env.Dialect.closeTogether(o.q, k.q) {
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

// mayOpen reports whether each key of the current get may open an item beside those that are open,
// or that the keys before it open.
func (s *Session) mayOpen() bool {
	keys := s.get.keys
	if len(s.opens) == 0 && len(keys) == 1 {
		return true
	}
	for i := range keys {
		ahead := keys[i].opts&optAhead != 0 && len(s.opens)+i < maxAhead
		if !ahead && keys[i].takes() && s.openAt(i) >= s.env.MaxOpenReads {
			return false
		}
	}
	return true
}

// openAt is how many items that count with its own are open when key i of the current get takes
// one.
func (s *Session) openAt(i int) int {
	keys := s.get.keys
	d := &s.env.Dialect
	open := 0
	for _, o := range s.opens {
		if d.closeTogether(o.q, keys[i].q) {
			open++
		}
	}
	for j := range keys[:i+1] {
		k := &keys[j]
		if !d.closeTogether(k.q, keys[i].q) {
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
