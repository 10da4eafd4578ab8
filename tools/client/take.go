package client

// darner get: items out of a queue, each confirmed after it was written out.

import (
	"context"
	"fmt"
	"io"
	"time"
)

// followWait is how long one request waits when the queue is followed.
const followWait = time.Minute

// TakeOptions say how many items to take and how to write them.
type TakeOptions struct {
	Wait   time.Duration // how long to wait for each item
	Count  int           // how many at most; 0: all there are
	Follow bool          // go on until ctx ends, waiting as long as it takes
	Lines  bool          // write a line feed behind each item
}

// Take writes items of a queue to out until there are no more, as o says, and returns how many.
// An item is confirmed after it was written whole: if out fails, it stays in the queue. The end of
// ctx ends a wait, never an item, and is no error.
func (c *Client) Take(ctx context.Context, queue string, out io.Writer, o TakeOptions) (n int, err error) {
	wait := o.Wait
	if o.Follow {
		wait = followWait
	}
	for o.Follow || o.Count == 0 || n < o.Count {
		it, err := c.Next(ctx, queue, wait)
		switch {
		case ctx.Err() != nil:
			return n, nil // what was taken before was confirmed by the request that was waiting
		case err != nil:
			return n, err
		case it == nil && o.Follow:
			continue
		case it == nil:
			return n, nil
		}
		if err := it.write(out, o.Lines); err != nil {
			return n, err
		}
		n++
		if ctx.Err() != nil {
			break
		}
	}
	return n, c.Confirm(queue)
}

func (it *Item) write(out io.Writer, line bool) error {
	n, err := io.Copy(out, it)
	if err == nil && line {
		_, err = io.WriteString(out, "\n")
	}
	if err != nil {
		return fmt.Errorf("an item of %d bytes stays in %s, %d bytes of it were written: %w", it.Size, it.Queue, n, err)
	}
	return nil
}
