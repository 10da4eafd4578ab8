package memcache

// The queues of a data directory as an engine of the protocol.

import (
	"context"

	"github.com/darner/darner/server/queue"
)

// Local returns the queues of a registry.
func Local(r *queue.Registry) Registry { return local{r} }

type local struct{ *queue.Registry }

func (r local) Queue(name []byte) (Queue, error) {
	q, err := r.Registry.Queue(name)
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (r local) Sum(ctx context.Context, seen func(Queue)) queue.Sum {
	return r.Registry.Sum(ctx, func(q *queue.Queue) { seen(q) })
}

func (r local) NewWaiter(wake func()) Waiter { return localWaiter{queue.NewWaiter(wake)} }

type localWaiter struct{ *queue.Waiter }

func (w localWaiter) TryWait(q Queue, peek bool) (claimed bool, err error) {
	if w.Peek != peek { // the queues that w waits in already read it
		w.Peek = peek
	}
	return q.(*queue.Queue).TryWait(w.Waiter)
}

func (w localWaiter) Stop() (q Queue, it queue.Item, ok bool) {
	from, it, ok := w.Waiter.Stop()
	if !ok {
		return nil, it, false
	}
	return from, it, true
}
