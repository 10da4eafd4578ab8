package client

// darner put: appends files or standard input to a queue.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
)

// Put appends all of in as one item.
func (c *Client) Put(queue string, in io.Reader) error {
	body, err := size(in)
	if err != nil {
		return err
	}
	defer body.close()
	return c.Set(queue, body, body.size)
}

// PutLines appends every line of in as an item, without its line feed. It holds a line in memory.
// It reads answers together, but always before it waits for more input.
func (c *Client) PutLines(queue string, in io.Reader) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if err == nil || len(line) > 0 {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if err := c.Send(queue, bytes.NewReader(line), int64(len(line))); err != nil {
				return fmt.Errorf("up to line %d: %w", n, err)
			}
		}
		if err == io.EOF || !lineBuffered(r) {
			if err := c.Flush(); err != nil {
				return fmt.Errorf("up to line %d: %w", n, err)
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// lineBuffered reports whether r has a whole line in its buffer.
func lineBuffered(r *bufio.Reader) bool {
	b, _ := r.Peek(r.Buffered())
	return bytes.IndexByte(b, '\n') >= 0
}

// PutFiles appends each file as one item or, with lines, each of its lines.
func (c *Client) PutFiles(queue string, files []string, lines bool) error {
	put := c.Put
	if lines {
		put = c.PutLines
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = put(queue, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
