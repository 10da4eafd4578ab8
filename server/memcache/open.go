package memcache

// Reliable reads: items open at this connection.

import (
	"errors"
	"slices"

	"github.com/darner/darner/server/queue"
)

// openItem was fetched with /open, and ends with /close or /abort. It keeps the queue's handle
// alive, so that the same name has the same handle even if the queue is deleted and created again.
type openItem struct {
	q    Queue
	item queue.Item
}

// closeOldest confirms, or with /abort returns, the oldest open item that the key is for. It is no
// error if there is none.
func (s *Session) closeOldest(k *getKey) error {
	dialect := &s.env.live().Dialect
	for i, o := range s.opens {
		if !dialect.closeTogether(o.q, k.q) {
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
		if err := o.q.Confirm(o.item); !errors.Is(err, queue.ErrNotOpen) {
			return err
		}
		return nil // it was open for too long, and went back
	}
	return nil
}

// confirmOldest confirms the oldest open items of a queue, count at most, and returns how many they
// were, without those that went back because they were open for too long.
func (s *Session) confirmOldest(q Queue, count uint64) (closed uint64, err error) {
	dialect := &s.env.live().Dialect
	kept := s.opens[:0]
	for _, o := range s.opens {
		if count == 0 || !dialect.closeTogether(o.q, q) {
			kept = append(kept, o)
			continue
		}
		count--
		switch e := o.q.Confirm(o.item); {
		case errors.Is(e, queue.ErrNotOpen):
			continue
		case err == nil:
			err = e
		}
		closed++
	}
	clear(s.opens[len(kept):])
	s.opens = kept
	return closed, err
}

// mayOpen reports whether each key of the current get may open an item beside those that are open,
// or that the keys before it open.
func (s *Session) mayOpen() bool {
	keys := s.get.keys
	switch {
	case len(s.opens) == 0 && (len(keys) == 1 || !s.get.anyOpens()):
		return true
	case len(keys) == 1:
		return s.mayOpenBeside(&keys[0], s.openBeside(keys[0].q), 0)
	}
	dialect := &s.env.live().Dialect
	open := make(map[Queue]int) // so that many keys take no longer each than one does
	for _, o := range s.opens {
		open[dialect.closedWith(o.q)]++
	}
	for i := range keys {
		k := &keys[i]
		beside := dialect.closedWith(k.q)
		if !s.mayOpenBeside(k, open[beside], i) {
			return false
		}
		if k.opts&(optClose|optAbort) != 0 && open[beside] > 0 {
			open[beside]--
		}
		if k.opts&optOpen != 0 {
			open[beside]++
		}
	}
	return true
}

// mayOpenBeside reports whether a key may take an item beside those that count with its own. before
// is how many keys come before it.
func (s *Session) mayOpenBeside(k *getKey, open, before int) bool {
	closes := 0
	if k.opts&(optClose|optAbort) != 0 {
		closes = min(open, 1)
	}
	most := s.env.live()
	if k.opts&optAhead != 0 && len(s.opens)-closes+before < most.MaxOpenAhead || !k.takes() {
		return true
	}
	own := k.q.MaxOpenReads()
	if own == 0 {
		own = most.MaxOpenReads
	}
	return open-closes < own
}

// dropEnded forgets items that went back because they were open for too long. It is false if there
// were none.
func (s *Session) dropEnded() bool {
	n := len(s.opens)
	s.opens = slices.DeleteFunc(s.opens, func(o openItem) bool { return o.q.HasEnded(o.item) })
	return len(s.opens) < n
}

// openBeside is how many items are open that count with those of a queue.
func (s *Session) openBeside(q Queue) (open int) {
	dialect := &s.env.live().Dialect
	for _, o := range s.opens {
		if dialect.closeTogether(o.q, q) {
			open++
		}
	}
	return open
}
