// Package client is a client of a queue server. It speaks enough of the memcache protocol to set
// items, to take them one by one with confirmation, and to read the statistics.
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

// DefaultAddress is where a server listens by default.
const DefaultAddress = "127.0.0.1:22133"

// ErrFull means that the server refused an item because the queue is at its limit.
var ErrFull = errors.New("the queue is at its limit")

// ServerError is an error line from the server, word for word.
type ServerError string

func (e ServerError) Error() string { return "the server answered: " + string(e) }

// Client is one connection, for one goroutine at a time. After any error other than ErrFull and
// ServerError it can only be closed.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	sent int   // number of items sent and not answered yet
	item *Item // the last item, until its body has been read
}

// Dial connects to a server. The address is host:port, or the path of a Unix socket, which contains
// a slash.
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
	return &Client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10),
		w: bufio.NewWriterSize(conn, 64<<10)}, nil
}

// Close ends the connection. An open item goes back to its place in the queue.
func (c *Client) Close() error { return c.conn.Close() }

// checkName refuses a name that would not be one word of a request, or would be read as an option.
func checkName(queue string) error {
	err := datadir.CheckName(queue)
	if err != nil {
		err = fmt.Errorf("%q: %w", queue, err)
	}
	return err
}

// request sends one line, after it has read the answers to all earlier requests.
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

// line reads one line of an answer, without its line end. An error line becomes a ServerError.
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

// expect reads a line, which must be want.
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

// interruptible makes reads of the connection fail once ctx ends, until stop is called. stop
// reports whether ctx had not ended yet.
func (c *Client) interruptible(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
}
