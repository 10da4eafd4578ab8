package torture

// A server process and connections to it.

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/tools/spawn"
)

// daemon is a server process of a test.
type daemon struct {
	*spawn.Server
	t testing.TB
}

// start starts a server on a data directory and a free port.
func start(t testing.TB, data string, flags ...string) *daemon {
	t.Helper()
	cmd := spawn.Command(program, data, flags...)
	dieWithTest(cmd)
	s, err := spawn.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return &daemon{s, t}
}

// launch starts a server and waits until it listens.
func launch(t testing.TB, data string, flags ...string) *daemon {
	t.Helper()
	d := start(t, data, flags...)
	if err := d.Ready(limit); err != nil {
		t.Fatal(err)
	}
	return d
}

// stop asks the server to end.
func (d *daemon) stop() {
	d.t.Helper()
	if err := d.Stop(syscall.SIGTERM, limit); err != nil {
		d.t.Fatal(err)
	}
}

// lives fails the test if the process has ended.
func (d *daemon) lives() {
	d.t.Helper()
	select {
	case <-d.Gone:
		d.t.Fatalf("the server died: %v\n%s", d.Err, d.Log)
	default:
	}
}

// client is a connection to a server. Its methods return I/O errors, because the server may be
// killed at any time.
type client struct {
	net.Conn
	r  *bufio.Reader
	of *daemon
}

func (d *daemon) connect() (*client, error) {
	c, err := net.Dial("tcp", d.Addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(10 * limit))
	return &client{c, bufio.NewReader(c), d}, nil
}

// dial connects to a server, which must be running.
func (d *daemon) dial() *client {
	d.t.Helper()
	c, err := d.connect()
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.Log)
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}

func (c *client) line() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

func (c *client) ask(request string) (string, error) {
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return "", err
	}
	return c.line()
}

// set returns the answer to a set.
func (c *client) set(queue string, body []byte) (string, error) {
	if _, err := fmt.Fprintf(c, "set %s 0 0 %d\r\n%s\r\n", queue, len(body), body); err != nil {
		return "", err
	}
	return c.line()
}

// get sends a GET, and returns the item or, if there is none, nil. Any other answer is an
// *answerError.
func (c *client) get(request string) ([]byte, error) {
	line, err := c.ask("get " + request)
	if err != nil || line == "END" {
		return nil, err
	}
	var name string
	var flags, size int
	if _, err := fmt.Sscanf(line, "VALUE %s %d %d", &name, &flags, &size); err != nil {
		return nil, &answerError{line}
	}
	b := make([]byte, size+len("\r\nEND\r\n"))
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	if string(b[size:]) != "\r\nEND\r\n" {
		return nil, &answerError{string(b[size:])}
	}
	return b[:size:size], nil
}

type answerError struct{ answer string }

func (e *answerError) Error() string { return fmt.Sprintf("a get was answered %q", e.answer) }

// figures returns the statistics of a queue, or of the server for "".
func (c *client) figures(t testing.TB, queue string) map[string]string {
	t.Helper()
	request, prefix := "stats", "STAT "
	if queue != "" {
		request, prefix = "stats queue "+queue, "STAT queue_"+queue+"_"
	}
	found := map[string]string{}
	line, err := c.ask(request)
	for ; err == nil && line != "END"; line, err = c.line() {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			name, value, _ := strings.Cut(rest, " ")
			found[name] = value
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// until waits until a condition holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", limit, what)
		}
	}
}
