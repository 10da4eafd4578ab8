// Package client speaks to a queue server: enough of the memcache protocol to set items, to take
// them one by one with confirmation, and to read the figures.
package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/darner/darner/wal/datadir"
)

// DefaultAddress is where a server listens unless told otherwise.
const DefaultAddress = "127.0.0.1:22133"

// ErrFull is a queue's refusal of an item because it is at its limit.
var ErrFull = errors.New("the queue is at its limit")

// ServerError is an error the server answered, word for word.
type ServerError string

func (e ServerError) Error() string { return "the server answered: " + string(e) }

// Client is one connection. Its methods are for one goroutine at a time; after any error that
// is neither ErrFull nor a ServerError it can only be closed.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	sent int   // items sent and not answered yet
	item *Item // the last item, while its body is not read
}

// Dial connects to a server: host:port, or the path of a Unix socket, which has a slash in it.
func Dial(ctx context.Context, address string) (*Client, error) {
	network := "tcp"
	if strings.Contains(address, "/") {
		network = "unix"
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("no server at %s: %w", address, err)
	}
	return &Client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), w: bufio.NewWriterSize(conn, 64<<10)}, nil
}

// Close ends the connection. An open item goes back to its place in the queue.
func (c *Client) Close() error { return c.conn.Close() }

// checkName refuses what would not be one word of a request, or would be read as an option.
func checkName(queue string) error {
	err := datadir.CheckName(queue)
	if err != nil {
		err = fmt.Errorf("%q: %w", queue, err)
	}
	return err
}

// request sends one line, after all answers to what was sent before have been read.
func (c *Client) request(format string, args ...any) error {
	if c.item != nil {
		return errors.New("the body of the last item has not been read")
	}
	if err := c.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.w, format+"\r\n", args...)
	return c.w.Flush()
}

// line reads one line of an answer, without its end. Answers that are errors become errors.
func (c *Client) line() (string, error) {
	line, err := c.r.ReadString('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("the connection broke: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	for _, prefix := range []string{"SERVER_ERROR", "CLIENT_ERROR", "ERROR"} {
		if strings.HasPrefix(line, prefix) {
			return "", ServerError(line)
		}
	}
	return line, nil
}

// expect reads a line that has to be this one.
func (c *Client) expect(want string) error {
	line, err := c.line()
	if err == nil && line != want {
		err = unexpected(line)
	}
	return err
}

func unexpected(line string) error {
	return fmt.Errorf("the server answered %q: is it a queue server?", line)
}

// interruptible ends reads of the connection when ctx ends, until stop is called.
func (c *Client) interruptible(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
}
