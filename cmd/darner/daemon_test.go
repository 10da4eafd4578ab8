package main

// The real binary, built once, for tests that start it, talk to it, stop it and kill it.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/tools/spawn"
)

// binary is the path of the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "darner-test-*")
	if err == nil {
		defer os.RemoveAll(dir)
		binary, err = spawn.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// limit is how long anything may take before it counts as stuck.
const limit = 30 * time.Second

// daemon is a server process of a test.
type daemon struct {
	*spawn.Server
	t *testing.T
}

// launch starts a server on a directory, on a port of its own, and waits until it listens.
func launch(t *testing.T, data string, flags ...string) *daemon {
	t.Helper()
	return launchAs(t, binary, data, flags...)
}

// launchAs starts it by another program that becomes the server.
func launchAs(t *testing.T, program, data string, flags ...string) *daemon {
	t.Helper()
	s, err := spawn.Start(spawn.Command(program, data, flags...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.Ready(limit); err != nil {
		t.Fatal(err)
	}
	return &daemon{s, t}
}

// stop asks the server to end, and returns how long it took.
func (d *daemon) stop(how os.Signal) time.Duration {
	d.t.Helper()
	began := time.Now()
	if err := d.Stop(how, limit); err != nil {
		d.t.Fatal(err)
	}
	if d.Err != nil {
		d.t.Errorf("got %v from the server, want a clean end\n%s", d.Err, d.Log)
	}
	return time.Since(began)
}

// memory is the server's anonymous memory in bytes.
func (d *daemon) memory() int64 {
	d.t.Helper()
	n := d.Memory()
	if n == 0 {
		d.t.Fatal("the system does not tell a process's memory")
	}
	return n
}

// talker is a connection to a server.
type talker struct {
	*net.TCPConn
	r *bufio.Reader
	t *testing.T
}

func (d *daemon) dial() *talker {
	d.t.Helper()
	c, err := net.Dial("tcp", d.Addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(limit))
	return &talker{c.(*net.TCPConn), bufio.NewReader(c), d.t}
}

func (c *talker) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *talker) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
		c.t.Fatalf("got %.200q, %v; want %.200q", got[:n], err, want)
	}
}

func (c *talker) say(request, answer string) {
	c.t.Helper()
	c.send(request)
	c.expect(answer)
}

func (c *talker) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("got %q, %v, want a line", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// figure is one of a queue's stats.
func (c *talker) figure(queue, name string) string {
	c.t.Helper()
	c.send("stats queue " + queue + "\r\n")
	value := ""
	for line := c.line(); line != "END"; line = c.line() {
		if v, ok := strings.CutPrefix(line, "STAT queue_"+queue+"_"+name+" "); ok {
			value = v
		}
	}
	return value
}

// until waits for a figure of a queue.
func (c *talker) until(queue, name, want string) {
	c.t.Helper()
	for end := time.Now().Add(limit); c.figure(queue, name) != want; {
		if time.Now().After(end) {
			c.t.Fatalf("got %s of %s at %s, want %s", name, queue, c.figure(queue, name), want)
		}
	}
}

// command runs a command to its end.
func command(t *testing.T, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, log bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &log
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return out.String(), log.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), log.String(), 0
}
