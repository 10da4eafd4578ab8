// Package client is a client of a queue server. It speaks enough of the memcache protocol to set
// items, to take them in order and confirm them, and to read the statistics.
package client

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/darner/darner/wal/datadir"
)

const (
	defaultHost = "127.0.0.1"
	defaultPort = "22133"

	// DefaultAddress is where a server listens by default.
	DefaultAddress = defaultHost + ":" + defaultPort
)

// Address completes what a user gives as a server: a host, its port, or the path of a Unix socket.
// A socket in the working directory needs no slash.
func Address(text string) string {
	if strings.Contains(text, "/") {
		return text
	}
	if info, err := os.Stat(text); err == nil && info.Mode()&os.ModeSocket != 0 {
		return "./" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), ""
	}
	if host == "" {
		host = defaultHost
	}
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(host, port)
}

// Client is one connection, for one goroutine at a time. After any error other than a refusal it
// can only be closed.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

const bufferSize = 16 << 10

// Dial connects to a server: host:port, or the path of a Unix socket, which has a slash.
func Dial(ctx context.Context, address string) (*Client, error) {
	network := "tcp"
	if strings.Contains(address, "/") {
		network = "unix"
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, interrupted(ctx, noServer("no server at %s: %w", address, err))
	}
	return &Client{conn: conn, r: bufio.NewReaderSize(conn, bufferSize),
		w: bufio.NewWriterSize(conn, bufferSize)}, nil
}

// Close ends the connection. An open item goes back to its place in the queue.
func (c *Client) Close() error { return c.conn.Close() }

// CheckName refuses a name that would not be one word of a request, or would be read as an option.
func CheckName(queue string) error {
	err := datadir.CheckName(queue)
	if err != nil {
		err = fmt.Errorf("%q: %w", queue, err)
	}
	return err
}

// request sends one line.
func (c *Client) request(format string, args ...any) error {
	fmt.Fprintf(c.w, format+"\r\n", args...)
	return broke(c.w.Flush())
}

// ask sends one line and returns the line that answers it.
func (c *Client) ask(format string, args ...any) (string, error) {
	if err := c.request(format, args...); err != nil {
		return "", err
	}
	line, err := c.line()
	return string(line), err
}

// line reads one line of an answer, without its line end, valid until the next read. An error line
// becomes a ServerError.
func (c *Client) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return nil, unexpected(string(line[:100]) + "...")
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, broke(err)
	}
	line = bytes.TrimRight(line, "\r\n")
	for _, prefix := range []string{"SERVER_ERROR", "CLIENT_ERROR", "ERROR"} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return nil, ServerError(line)
		}
	}
	return line, nil
}

// broke wraps an error of the connection.
func broke(err error) error {
	if err == nil {
		return nil
	}
	return noServer("the connection broke: %w", err)
}

// expect reads a line, which must be want.
func (c *Client) expect(want string) error {
	line, err := c.line()
	if err == nil && string(line) != want {
		err = unexpected(string(line))
	}
	return err
}

// interruptible makes reads of the connection fail once ctx ends, until stop is called. stop
// reports whether ctx had not ended yet.
func (c *Client) interruptible(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
}

// Delete removes a queue with all its items.
func (c *Client) Delete(queue string) error { return c.command("delete", queue, "DELETED") }

// Flush removes all items of a queue.
func (c *Client) Flush(queue string) error { return c.command("flush", queue, "END") }

func (c *Client) command(name, queue, want string) error {
	if err := CheckName(queue); err != nil {
		return err
	}
	line, err := c.ask("%s %s", name, queue)
	if err == nil && line != want {
		err = unexpected(line)
	}
	return err
}

// Peek writes the next item of a queue to out, and leaves it there. It returns how many items it
// wrote: 1, or 0 if the queue is empty.
func (c *Client) Peek(queue string, out io.Writer) (int, error) {
	it, err := c.fetch("get", queue, "peek")
	if err != nil || it == nil {
		return 0, err
	}
	_, err = io.Copy(out, it)
	return 1, err
}

// askedAhead reports whether the server is one that can be asked for much ahead: that can stop at
// the first set that it refuses (/strict), and opens up to most items beside others (/ahead).
func (c *Client) askedAhead() (can bool, most int, err error) {
	err = c.figures("stats settings", func(name, value string) {
		if name == "max-open-ahead" { // servers with this setting know both
			can = true
			most, _ = strconv.Atoi(value)
		}
	})
	if _, unknown := err.(ServerError); unknown {
		err = nil
	}
	return can, most, err
}
