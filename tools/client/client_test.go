package client

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/tools/exchange"
)

const hangUp = "<hang up>"

// next is a turn in which the server hangs up, and takes another connection.
var next = [2]string{"<next>", ""}

// script starts a server for one connection, and returns its address. For each pair it reads a
// request, which must be the first string, and sends the second as the answer. Either may be empty.
// After hangUp it closes the connection, else at the end, when the client has.
func script(t *testing.T, conversation ...[2]string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conn net.Conn
		accept := func(turns [][2]string) bool {
			if conn != nil {
				conn.Close()
			}
			c, err := l.Accept()
			if err != nil {
				return false
			}
			conn = c
			conn.SetDeadline(time.Now().Add(time.Minute))
			if !slices.Contains(turns, next) {
				l.Close()
			}
			return true
		}
		if !accept(conversation) {
			return
		}
		defer func() { conn.Close() }() // the last one
		for i, turn := range conversation {
			if turn == next {
				if !accept(conversation[i+1:]) {
					return
				}
				continue
			}
			got := make([]byte, len(turn[0]))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != turn[0] {
				t.Errorf("the client sent %.80q, %v; want %.80q", got, err, turn[0])
				return
			}
			answer, end := strings.CutSuffix(turn[1], hangUp)
			io.WriteString(conn, answer)
			if end {
				return
			}
		}
		if rest, err := io.ReadAll(conn); err == nil && len(rest) > 0 {
			t.Errorf("the client went on with %q", rest)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// against connects a Client to a server that follows a script.
func against(t *testing.T, conversation ...[2]string) *Client {
	t.Helper()
	c, err := Dial(context.Background(), script(t, conversation...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAnAddressMayLackItsHostItsPortOrItsSlash(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := net.Listen("unix", "db.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"db.sock": "./db.sock", "./db.sock": "./db.sock", "/run/x": "/run/x",
		"file": "file:22133", "host": "host:22133", "host:1": "host:1", ":1": "127.0.0.1:1",
		"host:": "host:22133", "::1": "[::1]:22133", "[::1]": "[::1]:22133", "[::1]:1": "[::1]:1",
	} {
		if got := Address(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestNamesThatWouldBeMoreThanANameAreRefused(t *testing.T) {
	c := against(t)
	for _, name := range []string{"", "a b", "a\r\nflush_all", "q/peek", "a\x7f", "a\x00"} {
		_, read := NewReader(context.Background(), "", name, 1)
		s := &Setter{c: c, ahead: 1}
		_, peek := c.Peek(name, io.Discard)
		_, stats := c.QueueStats(name)
		for what, err := range map[string]error{"NewReader": read, "Peek": peek, "Stats": stats,
			"Send": s.Send(name, exchange.Item{}), "Flush": c.Flush(name), "Delete": c.Delete(name),
		} {
			if err == nil {
				t.Errorf("%s of %q: got no error, want one", what, name)
			}
		}
	}
}
