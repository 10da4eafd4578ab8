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
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is the path of the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "darner-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "darner")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// limit is how long anything may take before it counts as stuck.
const limit = 30 * time.Second

// daemon is a server process.
type daemon struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	log  *logText
	gone chan struct{} // closed when the process has ended
	err  error         // how it ended
}

// launch starts a server on a directory, on a port of its own, and waits until it listens.
func launch(t *testing.T, data string, flags ...string) *daemon {
	t.Helper()
	return launchAs(t, binary, data, flags...)
}

// launchAs starts it by another program that becomes the server.
func launchAs(t *testing.T, program, data string, flags ...string) *daemon {
	t.Helper()
	ready := make(chan string, 1)
	d := &daemon{t: t, log: &logText{ready: ready}, gone: make(chan struct{})}
	d.cmd = exec.Command(program, append([]string{"--data", data, "--port", "0"}, flags...)...)
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	go func() {
		d.err = d.cmd.Wait()
		close(d.gone)
	}()
	select {
	case d.addr = <-ready:
	case <-d.gone:
		t.Fatalf("the server ended: %v\n%s", d.err, d.log)
	case <-time.After(limit):
		t.Fatalf("the server does not come up\n%s", d.log)
	}
	return d
}

// logText is what a server writes to standard error; ready gets the address it tells.
type logText struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan string
}

var readyLine = regexp.MustCompile(`msg="darner is ready".* address=(\S+)`)

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if m := readyLine.FindSubmatch(l.text.Bytes()); m != nil && l.ready != nil {
		l.ready <- string(m[1])
		l.ready = nil
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

// stop asks the server to end, and returns how long it took.
func (d *daemon) stop(how os.Signal) time.Duration {
	d.t.Helper()
	began := time.Now()
	if err := d.cmd.Process.Signal(how); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.gone:
	case <-time.After(limit):
		d.t.Fatalf("the server does not stop\n%s", d.log)
	}
	if d.err != nil {
		d.t.Errorf("the server ended with %v\n%s", d.err, d.log)
	}
	return time.Since(began)
}

// memory is the server's anonymous memory in bytes.
func (d *daemon) memory() int64 {
	d.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return kib << 10
		}
	}
	d.t.Fatal("the system does not tell a process's memory")
	return 0
}

// talker is a connection to a server.
type talker struct {
	*net.TCPConn
	r *bufio.Reader
	t *testing.T
}

func (d *daemon) dial() *talker {
	d.t.Helper()
	c, err := net.Dial("tcp", d.addr)
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
		c.t.Fatalf("got %q, %v", line, err)
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
			c.t.Fatalf("%s of %s does not get to %s", name, queue, want)
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
