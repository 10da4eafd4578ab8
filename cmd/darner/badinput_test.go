package main

// Input that no client should send, to the real server: it answers, and goes on as before.

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBadInputLeavesTheServerUnharmed(t *testing.T) {
	parent := t.TempDir()
	data := filepath.Join(parent, "data")
	d := launch(t, data)
	keeper := d.dial()
	keeper.say("set kept 0 0 4\r\nkept\r\n", "STORED\r\n")
	for _, bad := range []struct{ name, input, answer string }{
		{"a line of 10 MB without an end", strings.Repeat("x", 10<<20),
			"CLIENT_ERROR line too long\r\n"},
		{"a negative size", "set q 0 0 -1\r\n", "CLIENT_ERROR "},
		{"a size beyond numbers", "set q 0 0 99999999999999999999\r\n", "CLIENT_ERROR "},
		{"a path", "set ../../etc/passwd 0 0 1\r\nx\r\n", "CLIENT_ERROR "},
		{"an absolute path", "set /etc/passwd 0 0 1\r\nx\r\n", "CLIENT_ERROR "},
		{"the directory", "set . 0 0 1\r\nx\r\nget .\r\n", "STORED\r\nVALUE . 0 1\r\nx\r\nEND\r\n"},
		{"the parent", "set .. 0 0 1\r\nx\r\nget ..\r\n", "STORED\r\nVALUE .. 0 1\r\nx\r\nEND\r\n"},
		{"an escaped parent", "set %2e%2e 0 0 1\r\nx\r\nget %2e%2e\r\n",
			"STORED\r\nVALUE %2e%2e 0 1\r\nx\r\nEND\r\n"},
		{"the lock", "set .lock 0 0 1\r\nx\r\nget .lock\r\ndelete .lock\r\n",
			"STORED\r\nVALUE .lock 0 1\r\nx\r\nEND\r\nDELETED\r\n"},
		{"251 bytes", "set " + strings.Repeat("n", 251) + " 0 0 1\r\nx\r\n", "CLIENT_ERROR "},
		{"a NUL", "set a\x00b 0 0 1\r\nx\r\n", "CLIENT_ERROR "},
		{"a body too long", "set q 0 0 3\r\nhello\r\n", "CLIENT_ERROR bad data chunk\r\n"},
		{"a body too short", "set q 0 0 30\r\nhello\r\n", ""},
		{"a body that is only announced", "set q 0 0 1073741824\r\n", ""},
		{"half a command", "get kept/t=60", ""},
		{"a large body that breaks off", "set q 0 0 10000000\r\n" + strings.Repeat("x", 1<<20), ""},
		{"the binary protocol", "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", ""},
		{"HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n", ""},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x7f\n", 300), ""},
		{"ten thousand words", "get " + strings.Repeat("q ", 4000) + "\r\n", "END\r\n"},
		{"a wait without end", "get q/t=99999999999999999999\r\n", "CLIENT_ERROR "},
	} {
		t.Run(bad.name, func(t *testing.T) {
			c := d.dial()
			c.t = t
			c.send(bad.input)
			c.expect(bad.answer)
		})
	}
	t.Run("zeros", func(t *testing.T) { sendZeros(t, d) })
	keeper.say("version\r\nget kept\r\n", "VERSION 1.0.0\r\nVALUE kept 0 4\r\nkept\r\nEND\r\n")
	keeper.say("get q\r\n", "END\r\n")
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v beside the data directory, want nothing", entries, err)
	}
	if runtime.GOOS == "linux" && d.memory() > memoryBound {
		t.Errorf("got %d MiB of memory, want %d at most", d.memory()>>20, memoryBound>>20)
	}
	if strings.Contains(d.Log.String(), "level=ERROR") {
		t.Errorf("got an error in the log, want none:\n%s", d.Log)
	}
}

// sendZeros sends a gigabyte of zeros, or until the server refuses more.
func sendZeros(t *testing.T, d *daemon) {
	c := d.dial()
	var sender sync.WaitGroup
	sender.Go(func() {
		chunk := make([]byte, 1<<20)
		for range 1024 {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
	c.expect("CLIENT_ERROR line too long\r\n")
	if rest, err := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("got %q, %v after the answer, want the end", rest, err)
	}
	c.Close()
	sender.Wait()
}

func TestManyClientsThatComeAndGoLeaveNothingBehind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a process's descriptors are read from /proc")
	}
	d := launch(t, t.TempDir())
	c := d.dial()
	c.say("set q 0 0 1\r\na\r\n", "STORED\r\n")
	open := func() int {
		fds, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(d.Cmd.Process.Pid), "fd"))
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before := open()
	for _, input := range []string{"get q/t=1000\r\n", "get q/open\r\n", "set q 0 0 100000\r\nx",
		"quit\r\n", "", "g"} {
		for range 50 {
			conn, err := net.Dial("tcp", d.Addr)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(conn, bytes.NewReader([]byte(input)))
			conn.Close()
		}
	}
	for end := time.Now().Add(limit); open() > before; {
		if time.Now().After(end) {
			t.Fatalf("got %d open descriptors, want %d as before", open(), before)
		}
	}
	c.until("q", "open_transactions", "0")
	c.until("q", "waiters", "0")
}
