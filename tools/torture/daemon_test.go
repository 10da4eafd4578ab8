package torture

// A server process and connections to it.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// daemon is a server process.
type daemon struct {
	t    testing.TB
	cmd  *exec.Cmd
	addr string
	log  *logText
	gone chan struct{} // closed when the process has ended
	err  error         // how it ended
}

// start starts a server on a directory, on a port of its own.
func start(t testing.TB, data string, flags ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, log: &logText{ready: make(chan string, 1)}, gone: make(chan struct{})}
	d.cmd = exec.Command(program, append([]string{"--data", data, "--port", "0"}, flags...)...)
	d.cmd.Stderr = d.log
	dieWithTest(d.cmd)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	go func() {
		d.err = d.cmd.Wait()
		close(d.gone)
	}()
	return d
}

// launch starts a server and waits until it listens.
func launch(t testing.TB, data string, flags ...string) *daemon {
	t.Helper()
	d := start(t, data, flags...)
	select {
	case d.addr = <-d.log.ready:
	case <-d.gone:
		t.Fatalf("the server ended: %v\n%s", d.err, d.log)
	case <-time.After(limit):
		t.Fatalf("the server does not come up\n%s", d.log)
	}
	return d
}

// logText is what a server writes to standard error; ready gets the address it tells.
type logText struct {
	ready chan string

	mu   sync.Mutex
	text bytes.Buffer
	told bool
}

var readyLine = regexp.MustCompile(`msg="darner is ready".* address=(\S+)`)

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.told {
		return len(p), nil
	}
	if m := readyLine.FindSubmatch(l.text.Bytes()); m != nil {
		l.told = true
		l.ready <- string(m[1])
	}
	return len(p), nil
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// kill ends the server as kill -9 does. It may have ended before.
func (d *daemon) kill() {
	d.cmd.Process.Kill()
	<-d.gone
}

// stop asks the server to end.
func (d *daemon) stop() {
	d.t.Helper()
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.gone:
	case <-time.After(limit):
		d.t.Fatalf("the server does not stop\n%s", d.log)
	}
}

// lives fails the test when the process has ended.
func (d *daemon) lives() {
	d.t.Helper()
	select {
	case <-d.gone:
		d.t.Fatalf("the server died: %v\n%s", d.err, d.log)
	default:
	}
}

// client is a connection to a server. Its methods return io errors: the server may be killed at
// any time.
type client struct {
	net.Conn
	r  *bufio.Reader
	of *daemon
}

func (d *daemon) connect() (*client, error) {
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(10 * limit))
	return &client{c, bufio.NewReader(c), d}, nil
}

// dial connects to a server that is there.
func (d *daemon) dial() *client {
	d.t.Helper()
	c, err := d.connect()
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.log)
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

// get returns the item that a GET is answered with, nil when there is none. An answer that is
// neither is an *answerError.
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

// figures are the stats of a queue, or of the server for "".
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

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}
