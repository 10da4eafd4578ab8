package client

// darner get: takes items from a queue, and confirms each after it has written it.

import (
	"context"
	"fmt"
	"io"
	"time"
)

// followWait is how long one request waits with TakeOptions.Follow.
const followWait = time.Minute

// TakeOptions says how many items to take and how to write them.
type TakeOptions struct {
	Wait   time.Duration // how long to wait for each item
	Count  int           // maximum number of items; 0: all
	Follow bool          // wait for more items until ctx ends
	Lines  bool          // write a line feed after each item
}

// Take writes items of a queue to out, as o says, and returns how many. It confirms an item after
// it has written all of it: if out fails, the item stays in the queue. If ctx ends, Take finishes
// the item that it is writing, and returns no error.
func (c *Client) Take(ctx context.Context, queue string, out io.Writer,
	o TakeOptions) (n int, err error) {
	wait := o.Wait
	if o.Follow {
		wait = followWait
	}
	for o.Follow || o.Count == 0 || n < o.Count {
		it, err := c.Next(ctx, queue, wait)
		switch {
		case ctx.Err() != nil:
			return n, nil // the request that waited has confirmed the item before
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
		return fmt.Errorf("an item of %d bytes stays in %s; %d bytes of it were written: %w",
			it.Size, it.Queue, n, err)
	}
	return nil
}
