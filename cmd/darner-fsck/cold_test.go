package main

// The two real binaries: damage to what a server compressed costs nothing.

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/darner/darner/tools/measure/telemetry"
	"github.com/darner/darner/tools/spawn"
)

// limit is how long anything may take before it counts as stuck.
const limit = time.Minute

func TestAFlippedBitInAColdSegmentCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binaries and waits for a server to compress")
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server, err := spawn.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	tool, data := filepath.Join(dir, "darner-fsck"), filepath.Join(dir, "data")
	const n = 12_000 // some 3 MiB, a dozen segments
	conn := serve(t, server, data)
	conn.set(n)
	cold := coldFile(t, data)
	conn.stop()

	b := []byte(read(t, cold))
	b[len(b)*2/3] ^= 4
	if err := os.WriteFile(cold, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args, want string
		code       int
	}{
		{"DATA", "no item is lost", 4},
		{"--json DATA", `"kind":"rebuilt"`, 4},
		{"space DATA", filepath.Base(cold), 0},
		{"dump DATA q --state damaged", "sequence", 0},
		{"--repair --dry-run DATA", "would be", 4},
		{"--repair DATA", fmt.Sprintf("repaired: 1 queue, %d items;", n), 1},
		{"DATA", fmt.Sprintf("clean: 1 queue, %d items", n), 0},
	} {
		out, code := runs(t, tool, strings.Fields(strings.ReplaceAll(step.args, "DATA", data))...)
		if code != step.code || !strings.Contains(out, step.want) ||
			strings.Contains(out, `"items_lost":1`) {
			t.Fatalf("%s: got exit code %d, want %d and %q:\n%.3000s", step.args, code, step.code,
				step.want, out)
		}
	}
	out, code := runs(t, tool, "export", data, "q")
	if code != 0 || strings.Count(out, "\n") != n+1 { // the items and a summary
		t.Errorf("got exit code %d, %d lines, want 0, %d", code, strings.Count(out, "\n"), n+1)
	}
	conn = serve(t, server, data)
	conn.get(n)
	conn.stop()
}

// coldFile waits until the server has made a cold segment and deleted its sources.
func coldFile(t *testing.T, data string) string {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		cold, _ := filepath.Glob(data + "/q/*.cold")
		first, _ := filepath.Glob(data + "/q/00000000000000000001.seg")
		if len(cold) > 0 && len(first) == 0 {
			return cold[0]
		}
	}
	t.Fatal("the server compresses nothing")
	return ""
}

// runs runs a program and returns all that it writes, and its exit code.
func runs(t *testing.T, program string, args ...string) (string, int) {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if e := (*exec.ExitError)(nil); err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	code := 0
	if err != nil {
		code = err.(*exec.ExitError).ExitCode()
	}
	return string(out), code
}

// client is a server process and a connection to it.
type client struct {
	t      *testing.T
	server *spawn.Server
	net.Conn
	r *bufio.Reader
}

func serve(t *testing.T, program, data string) *client {
	t.Helper()
	s, err := spawn.Start(spawn.Command(program, data, "--segment-size", "256KiB"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.Ready(limit); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(limit))
	return &client{t, s, conn, bufio.NewReader(conn)}
}

func (c *client) stop() {
	c.t.Helper()
	c.Close()
	err := c.server.Stop(syscall.SIGTERM, limit)
	if err == nil {
		err = c.server.Err
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got, err := c.r.ReadString('\n'); err != nil || got != want+"\r\n" {
		c.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// set sets n lines of telemetry, a hundred at a time.
func (c *client) set(n int) {
	c.t.Helper()
	var request bytes.Buffer
	i := 0
	for line := range telemetry.Lines(1, 50) {
		fmt.Fprintf(&request, "set q 0 0 %d\r\n%s\r\n", len(line), line)
		if i++; i%100 > 0 {
			continue
		}
		if _, err := request.WriteTo(c); err != nil {
			c.t.Fatal(err)
		}
		for range 100 {
			c.expect("STORED")
		}
		if i == n {
			return
		}
	}
}

// get takes n items and compares them with those that were set.
func (c *client) get(n int) {
	c.t.Helper()
	i := 0
	for line := range telemetry.Lines(1, 50) {
		if i++; i > n {
			break
		}
		fmt.Fprint(c, "get q\r\n")
		c.expect(fmt.Sprintf("VALUE q 0 %d", len(line)))
		c.expect(string(line))
		c.expect("END")
	}
	fmt.Fprint(c, "get q\r\n")
	c.expect("END")
}
