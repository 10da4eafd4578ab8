package client

// darner get: takes items from a queue. When it follows the queue and the connection breaks, it
// connects again.

import (
	"context"
	"errors"
	"time"
)

// TakeOptions says what to take, and how.
type TakeOptions struct {
	PumpOptions
	Prefetch int          // items that are open at a time; 0: DefaultPrefetch
	Note     func(string) // says when the connection broke, and when it is back; may be nil
}

// Pauses between attempts to connect again.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// patience is how long a server that died may take to come back, without Follow.
const patience = 10 * time.Second

// Take takes items of a queue to a sink as Pump does. When the server dies it connects again, and
// tells the items that come again from new ones: with Follow, or if it is to take all items and has
// taken some. Without Follow it tries for ten seconds.
func Take(ctx context.Context, address, queue string, to Sink, o TakeOptions) (n int, err error) {
	if o.Prefetch == 0 {
		o.Prefetch = DefaultPrefetch
	}
	r, err := NewReader(ctx, address, queue, o.Prefetch)
	if err != nil {
		return 0, err
	}
	known := &knownSink{to: to, known: map[uint64]Item{}}
	for {
		k, err := r.Pump(ctx, known, o.PumpOptions)
		unconfirmed := r.Unconfirmed()
		r.Close()
		n += k
		retry := o.Follow || o.Count == 0 && n > 0
		if !retry || ctx.Err() != nil || !errors.Is(err, ErrNoServer) ||
			errors.As(err, new(sinkError)) {
			return n, mayComeAgain(err, len(unconfirmed))
		}
		known.note(unconfirmed)
		open := min(max(len(unconfirmed), len(known.known)), o.Prefetch) // or of connections before
		o.note(mayComeAgain(err, open).Error() + "; trying again")
		var broken error
		if r, broken = again(ctx, address, queue, o); broken != nil {
			if ctx.Err() == nil {
				broken = err
			}
			return n, mayComeAgain(broken, open)
		}
		o.note("connected again")
	}
}

func (o *TakeOptions) note(text string) {
	if o.Note != nil {
		o.Note(text)
	}
}

// again connects, after longer and longer pauses, until ctx ends or patience does.
func again(ctx context.Context, address, queue string, o TakeOptions) (*Reader, error) {
	if !o.Follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		r, err := NewReader(ctx, address, queue, o.Prefetch)
		if err == nil || !errors.Is(err, ErrNoServer) {
			return r, err
		}
	}
}

// knownSink passes items on, except those that it has passed on before and that come again, since
// they could not be confirmed.
type knownSink struct {
	to    Sink
	known map[uint64]Item // by sequence number
}

// maxKnown bounds the memory for items that never come again.
const maxKnown = 10_000

func (s *knownSink) note(items []*Item) {
	if len(s.known) > maxKnown {
		clear(s.known)
	}
	for _, it := range items {
		if it.sum != 0 {
			s.known[it.Sequence] = Item{Flags: it.Flags, Size: it.Size, sum: it.sum}
		}
	}
}

func (s *knownSink) Put(batch []*Item) (done int, err error) {
	for done < len(batch) && err == nil {
		if s.has(batch[done]) {
			delete(s.known, batch[done].Sequence)
			done++
			continue
		}
		end := done + 1
		for end < len(batch) && !s.has(batch[end]) {
			end++
		}
		var n int
		n, err = s.to.Put(batch[done:end])
		done += n
	}
	return done, err
}

// has reports whether an item is known, by all that is known of it: a queue that was deleted begins
// to count anew.
func (s *knownSink) has(it *Item) bool {
	k, ok := s.known[it.Sequence]
	if !ok || it.body == nil || k.Flags != it.Flags || k.Size != it.Size {
		return false
	}
	it.keep()
	return k.sum == it.sum
}
