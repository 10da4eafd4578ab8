package client

// From a queue into a sink: each item is confirmed when the sink has it.

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"time"
)

// followWait is how long one request waits when there is no end.
const followWait = time.Minute

// askTimeout is how long the server may take to answer what became of an item.
const askTimeout = 5 * time.Second

// Sink is where items go.
type Sink interface {
	// Put takes items, in order, and returns how many of them, from the first on, are safe.
	// Only these are confirmed. With an error, the others go back to their places. A sink that
	// has done nothing with an item that it cannot read returns the error of the read as it is.
	Put([]*Item) (int, error)
}

// PumpOptions says how many items to take.
type PumpOptions struct {
	Wait   time.Duration // how long to wait for each item
	Count  int           // how many at most; 0: all there are
	Follow bool          // wait for more without end
}

// Pump takes items of the queue to a sink, and returns how many are safe there. An item is
// confirmed after that. If ctx ends, Pump finishes the items that the sink is taking, and returns
// ctx's error.
func (r *Reader) Pump(ctx context.Context, to Sink, o PumpOptions) (n int, err error) {
	wait, limit := o.Wait, o.Count
	if o.Follow {
		wait = followWait
	}
	if limit == 0 {
		limit = math.MaxInt
	}
	for {
		batch, err := r.Next(ctx, limit-n, wait)
		if err != nil {
			return n, r.explain(ctx, err)
		}
		if len(batch) == 0 {
			if o.Follow {
				continue
			}
			return n, nil
		}
		done, err := to.Put(batch)
		n += done
		for _, it := range batch[:done] {
			it.keep()
		}
		_, untouched := err.(itemBrokeOff)
		if err != nil && !untouched {
			err = sinkError{err}
		} else if err == nil && n < limit {
			err = ctx.Err()
		}
		if err != nil || n == limit {
			return n, r.explain(ctx, r.settleAfter(err, done))
		}
	}
}

// sinkError is an error of a sink. The server may be well.
type sinkError struct{ error }

func (e sinkError) Unwrap() error { return e.error }

var seed = maphash.MakeSeed()

// keep notes that a sink has the item.
func (it *Item) keep() {
	it.safe = true
	if it.body != nil {
		it.sum = maphash.Bytes(seed, it.body)
	}
}

// explain says more about an error: whether an item broke off because it is damaged.
func (r *Reader) explain(ctx context.Context, err error) error {
	var broke itemBrokeOff
	if errors.As(err, &broke) && r.damaged(ctx, broke.item) {
		err = kindError{fmt.Errorf("item %d of %s is damaged on the server's disk, and is gone from "+
			"the queue: %s of %d could not be read", broke.item.Sequence, r.queue,
			Count(broke.item.left, "byte"), broke.item.Size), ErrDamaged}
	}
	return err
}

// mayComeAgain adds to an error how many items a sink has that the server may deliver again.
func mayComeAgain(err error, n int) error {
	if err == nil || n == 0 {
		return err
	}
	return fmt.Errorf("%w; the last %s may come again", err, Count(int64(n), "item"))
}

// damaged reports whether the server dropped an item because it cannot be read: then it is not back
// at its place. Else the connection ended for another reason.
func (r *Reader) damaged(ctx context.Context, it *Item) bool {
	if it.Sequence == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	c, err := Dial(ctx, r.address)
	if err != nil {
		return false
	}
	defer c.Close()
	defer c.interruptible(ctx)()
	figures, err := c.QueueStats(r.queue)
	if lost, _ := strconv.Atoi(figures.Figure["damaged_records"]); err != nil || lost == 0 {
		return false
	}
	head, err := c.fetch("gets", r.queue, "peek")
	return err == nil && (head == nil || head.Sequence > it.Sequence)
}
