package queue

// What is known of the head of a queue besides its payload, for whoever looks into a queue.

import (
	"errors"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

// Origin says where an item was before it was moved.
type Origin = wal.Origin

// Info is what is known of an item that waits. Its times are in Unix ms, 0 is none, by the clock as
// it is set now.
type Info struct {
	Seq      uint64
	Size     int64 // bytes of the payload
	Flags    uint32
	Enqueued int64
	Expires  int64 // its own end, or that of the queue's max-age if that is earlier
	Due      int64 // until when it was delayed; 0 for one that was put without a delay

	Deliveries uint32  // how often it was delivered and came back, at least
	Origin     *Origin // nil: it was not moved here. A zero one: nobody knows from where
}

// Info tells of the head, the item that a Fetch would get; false when nothing waits. The item may
// be gone when it returns. It waits for the disk, and loads a queue that is parked.
func (q *Queue) Info() (Info, bool, error) {
	for reclaimed := false; ; {
		it, ok, err := q.Peek()
		if !ok {
			return Info{}, false, err
		}
		info, err := q.describe(it)
		switch {
		case err == nil:
			return info, true, nil
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrGone):
			q.Drop(it)
		case err == ErrUnready:
			q.waitReady()
		case !reclaimed && q.Reclaim(err):
			reclaimed = true
		default:
			return Info{}, false, err
		}
	}
}

// describe tells of an item that was peeked.
func (q *Queue) describe(it Item) (Info, error) {
	origin, err := q.Origin(it)
	if err != nil {
		return Info{}, err
	}
	if origin != nil && datadir.CheckName(origin.Log) != nil {
		origin = new(Origin) // nothing that this server has written
	}
	s := q.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.cursor != it.cursor {
		return Info{}, ErrGone
	}
	_, m, ok, err := q.cursor.TryFindInto(nil, it.Seq)
	switch {
	case err != nil:
		return Info{}, goneIfClosed(err)
	case !ok:
		return Info{}, ErrGone
	}
	shift := s.shiftLocked(it)
	info := Info{
		Seq: it.Seq, Size: it.Size, Flags: it.Flags,
		Enqueued: it.Enqueued + shift, Expires: q.endsLocked(it),
		Deliveries: max(it.deliveries, q.cursor.Deliveries(it.Seq)),
		Origin:     origin,
	}
	if m.Due() != 0 {
		info.Due = m.Due() + shift
	}
	return info, nil
}
