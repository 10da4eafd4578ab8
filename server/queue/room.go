package queue

// A queue at a bound that gives up its oldest items for new ones. Space comes back by whole segments, and by
// bodies of large items.

import (
	"errors"

	"github.com/darner/darner/wal"
)

// MakeRoom gives up the oldest waiting items until there is room for what Put or Create refused with
// ErrMakeRoom; open ones stay. It returns the refusal when there is none to be made. It may wait for the disk.
func (q *Queue) MakeRoom(refused error) error {
	var over *overBound
	if !errors.As(refused, &over) || !over.discard {
		return refused
	}
	s := q.reg.settings(q)
	if err := q.fits(s, over.need); err != nil {
		return final(err) // whatever goes
	}
	for {
		err := q.reg.budget.admit(q.dir(), s, over.need)
		if err == nil {
			return nil
		}
		more, failure := q.giveUpSome()
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

// roomFor makes room ahead for what is about to be written, in a queue that gives up its oldest items.
func (q *Queue) roomFor(bytes int64) {
	if s := q.reg.settings(q); s.Discard {
		if err := q.reg.budget.admit(q.dir(), s, bytes); err != nil {
			q.MakeRoom(err) // if that fails so will the writing, which has the say
		}
	}
}

// fits reports whether there would be room if the queue were empty.
func (q *Queue) fits(s Settings, need int64) error {
	const least = 24 << 10 // bytes of disk that stay: the directory, offset files
	return q.reg.budget.admit(q.dir(), s, need+least-q.reg.usage.Used(q.dir()))
}

// giveUpSome drops the next slice of items and gives back what that frees. more tells that it did either.
func (q *Queue) giveUpSome() (more bool, err error) {
	if err := q.lock(false); err != nil {
		return false, err
	}
	l := q.log
	if l == nil {
		q.mu.Unlock()
		return false, nil
	}
	before := q.reg.usage.Used(q.dir())
	head := q.head
	n, err := q.dropOldest()
	q.wanted++ // lest it is parked
	q.mu.Unlock()
	if err == wal.ErrUnready {
		head.GetReady()
		n, err = n+1, nil // there may be some
	}
	l.GiveBack()
	after := q.reg.usage.Used(q.dir())
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wanted--
	return err == nil && (n > 0 || after < before), err
}

// giveUpSlice is how many bytes are given up in one hold of the lock, or expirySlice items: about what a segment
// grows by at first, so that little more goes than has to.
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

// segmentSize is the size of the queue's segments.
func (r *Registry) segmentSize(q *Queue) int64 {
	if s := r.settings(q).SegmentSize; s > 0 {
		return s
	}
	return r.o.Log.SegmentSize
}

// logOptions are those of the queue's log.
func (q *Queue) logOptions() wal.Options {
	o, s, dir := q.reg.o.Log, q.reg.settings(q), q.dir()
	o.FS = q.reg.usage
	o.SegmentSize = q.reg.segmentSize(q)
	if s.Cold != nil {
		o.Cold = s.Cold
	}
	o.Admit = func(bytes int64) error { return q.reg.budget.admit(dir, s, bytes) }
	return o
}
