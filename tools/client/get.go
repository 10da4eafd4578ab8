package client

// Taking items. One is open at a time.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Item is an open item: the server has set it aside for this client. Read its body to the end
// before calling any other method of the Client.
type Item struct {
	Queue string
	Flags uint32
	Size  int64

	c    *Client
	left int64 // bytes of the body that are not read yet
}

// Next confirms the item that is open, if any, and opens the next one. It waits up to wait for one,
// and returns nil if there is none. If ctx ends the wait, it returns ctx's error.
func (c *Client) Next(ctx context.Context, queue string, wait time.Duration) (*Item, error) {
	if err := checkName(queue); err != nil {
		return nil, err
	}
	if err := c.request("get %s/t=%d/close/open", queue, wait.Milliseconds()); err != nil {
		return nil, err
	}
	stop := c.interruptible(ctx)
	line, err := c.line()
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil || line == "END" {
		return nil, err
	}
	it := &Item{c: c}
	if _, err := fmt.Sscanf(line, "VALUE %s %d %d", &it.Queue, &it.Flags, &it.Size); err != nil {
		return nil, unexpected(line)
	}
	it.Queue = queue // the server may answer with the key as asked, options included
	it.left = it.Size
	c.item = it
	return it, nil
}

// Confirm takes the open item off the queue.
func (c *Client) Confirm(queue string) error {
	if err := checkName(queue); err != nil {
		return err
	}
	if err := c.request("get %s/close", queue); err != nil {
		return err
	}
	return c.expect("END")
}

// Read reads the body. It returns io.EOF only after the whole body.
func (it *Item) Read(p []byte) (int, error) {
	if it.left == 0 {
		return 0, it.finish()
	}
	n, err := it.c.r.Read(p[:min(int64(len(p)), it.left)])
	it.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the connection broke %d bytes before the end of the item: %w", it.left,
			io.ErrUnexpectedEOF)
	}
	return n, err
}

// finish reads what follows the body, and returns io.EOF.
func (it *Item) finish() error {
	if it.c.item != it {
		return io.EOF
	}
	for _, want := range []string{"", "END"} {
		if err := it.c.expect(want); err != nil {
			return err
		}
	}
	it.c.item = nil
	return io.EOF
}
