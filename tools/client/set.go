package client

// Setting items: one with a streamed body, or many with their answers read together.

import (
	"fmt"
	"io"
)

// window is how many items may be sent before their answers are read. The answers must fit in the
// buffers of the connection.
const window = 256

// Set appends an item to a queue. It reads size bytes from body. When it returns nil, the server
// has stored the item.
func (c *Client) Set(queue string, body io.Reader, size int64) error {
	return c.SetFlags(queue, 0, body, size)
}

// SetFlags is Set for an item with flags.
func (c *Client) SetFlags(queue string, flags uint32, body io.Reader, size int64) error {
	if err := c.Flush(); err != nil {
		return err
	}
	if err := c.send(queue, flags, body, size); err != nil {
		return err
	}
	return c.Flush()
}

// Send is Set without waiting for the answer, which Flush reads. If too many answers are due, it
// waits for them first, and returns the first refusal.
func (c *Client) Send(queue string, body io.Reader, size int64) error {
	if c.sent >= window {
		if err := c.Flush(); err != nil {
			return err
		}
	}
	return c.send(queue, 0, body, size)
}

func (c *Client) send(queue string, flags uint32, body io.Reader, size int64) error {
	if err := checkName(queue); err != nil {
		return err
	}
	fmt.Fprintf(c.w, "set %s %d 0 %d\r\n", queue, flags, size)
	n, err := io.CopyN(c.w, body, size)
	if err == io.EOF {
		return fmt.Errorf("the item has %d bytes instead of %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return fmt.Errorf("after %d bytes of an item of %d: %w", n, size, err)
	}
	if _, err := c.w.WriteString("\r\n"); err != nil {
		return fmt.Errorf("the connection broke: %w", err)
	}
	c.sent++
	return nil
}

// Flush waits for the answers to all items sent, and returns the first refusal.
func (c *Client) Flush() error {
	if c.sent == 0 {
		return nil
	}
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("the connection broke: %w", err)
	}
	var refused error
	for ; c.sent > 0; c.sent-- {
		err := c.stored()
		if isRefusal(err) {
			if refused == nil {
				refused = err
			}
			continue
		}
		if err != nil {
			return err
		}
	}
	return refused
}

// stored reads the answer to one SET.
func (c *Client) stored() error {
	line, err := c.line()
	switch {
	case err != nil:
		return err
	case line == "NOT_STORED":
		return ErrFull
	case line != "STORED":
		return unexpected(line)
	}
	return nil
}

// isRefusal reports whether the server refused one item, and the connection can still be used.
func isRefusal(err error) bool {
	_, answered := err.(ServerError)
	return answered || err == ErrFull
}
