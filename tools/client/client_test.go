package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// against connects a Client to a server that follows a script. For each pair it reads a request,
// which must be the first string, and sends the second as the answer. Either may be empty. Then it
// closes the connection.
func against(t *testing.T, conversation ...[2]string) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		for _, turn := range conversation {
			got := make([]byte, len(turn[0]))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != turn[0] {
				t.Errorf("the client sent %.80q, %v; want %.80q", got, err, turn[0])
				return
			}
			io.WriteString(conn, turn[1])
		}
		if rest, err := io.ReadAll(conn); err == nil && len(rest) > 0 {
			t.Errorf("the client went on with %q", rest)
		}
	}()
	c, err := Dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-done
		l.Close()
	})
	return c
}

func TestPutSendsTheWholeInputAsOneItem(t *testing.T) {
	c := against(t, [2]string{"set q 0 0 11\r\nhello\nworld\r\n", "STORED\r\n"})
	if err := c.Put("q", strings.NewReader("hello\nworld")); err != nil {
		t.Error(err)
	}
}

func TestPutSpoolsLongInputOfUnknownSize(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	long := strings.Repeat("0123456789", memorySpool/10+7)
	c := against(t, [2]string{"set q 0 0 1048640\r\n" + long + "\r\n", "STORED\r\n"})
	if err := c.Put("q", strings.NewReader(long)); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(os.TempDir() + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPutLinesSendsAnItemForEachLine(t *testing.T) {
	for input, want := range map[string][]string{"": nil, "a": {"a"}, "a\n": {"a"},
		"a\n\nbc\r\nd": {"a", "", "bc\r", "d"}} {
		var turns [][2]string
		for _, line := range want {
			turns = append(turns, [2]string{"set q 0 0 " + string(rune('0'+len(line))) + "\r\n" +
				line + "\r\n", "STORED\r\n"})
		}
		c := against(t, turns...)
		if err := c.PutLines("q", strings.NewReader(input)); err != nil {
			t.Errorf("%q: %v", input, err)
		}
	}
}

// A line that was typed is sent at once, though the next is not finished.
func TestPutLinesDoesNotHoldLinesBack(t *testing.T) {
	c := against(t, [2]string{"set q 0 0 1\r\na\r\n", "STORED\r\n"},
		[2]string{"set q 0 0 2\r\nbc\r\n", "STORED\r\n"})
	in, typist := io.Pipe()
	stored := make(chan error)
	go func() { stored <- c.PutLines("q", in) }()
	io.WriteString(typist, "a\nb")
	io.WriteString(typist, "c\n")
	typist.Close()
	if err := <-stored; err != nil {
		t.Error(err)
	}
}

func TestPutFilesSendsEachFile(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for name, text := range map[string]string{"a": "first", "b": ""} {
		files = append(files, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if strings.HasSuffix(files[0], "b") {
		files[0], files[1] = files[1], files[0]
	}
	c := against(t, [2]string{"set q 0 0 5\r\nfirst\r\n", "STORED\r\n"},
		[2]string{"set q 0 0 0\r\n\r\n", "STORED\r\n"})
	if err := c.PutFiles("q", files, false); err != nil {
		t.Error(err)
	}
	err := c.PutFiles("q", []string{filepath.Join(dir, "none")}, false)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is missing: got %v, want ErrNotExist", err)
	}
}

func TestARefusedItemIsAnErrorAndTheConnectionGoesOn(t *testing.T) {
	c := against(t,
		[2]string{"set q 0 0 1\r\na\r\n", "NOT_STORED\r\n"},
		[2]string{"set q 0 0 1\r\na\r\n", "SERVER_ERROR no space\r\n"},
		[2]string{"set q 0 0 1\r\na\r\nset q 0 0 1\r\nb\r\n", "NOT_STORED\r\nSTORED\r\n"},
		[2]string{"set q 0 0 1\r\na\r\n", "STORED\r\n"})
	if err := c.Put("q", strings.NewReader("a")); err != ErrFull {
		t.Errorf("NOT_STORED: got %v, want ErrFull", err)
	}
	if err := c.Put("q", strings.NewReader("a")); err == nil ||
		!strings.Contains(err.Error(), "no space") {
		t.Errorf("SERVER_ERROR: got %v, want the server's words", err)
	}
	if err := c.PutLines("q", strings.NewReader("a\nb\n")); !errors.Is(err, ErrFull) {
		t.Errorf("a refused line: got %v, want ErrFull", err)
	}
	if err := c.Put("q", strings.NewReader("a")); err != nil {
		t.Error(err)
	}
}

func TestNamesThatWouldBeMoreThanANameAreRefused(t *testing.T) {
	c := against(t)
	for _, name := range []string{"", "a b", "a\r\nflush_all", "q/peek", "a\x7f", "a\x00"} {
		if err := c.Put(name, strings.NewReader("x")); err == nil {
			t.Errorf("Put to %q: got no error, want one", name)
		}
		if _, err := c.Next(context.Background(), name, 0); err == nil {
			t.Errorf("Next of %q: got no error, want one", name)
		}
	}
}

func TestTakeConfirmsAfterWriting(t *testing.T) {
	c := against(t,
		[2]string{"get q/t=0/close/open\r\n", "VALUE q 7 3\r\none\r\nEND\r\n"},
		[2]string{"get q/t=0/close/open\r\n", "VALUE q 0 0\r\n\r\nEND\r\n"},
		[2]string{"get q/close\r\n", "END\r\n"})
	var out bytes.Buffer
	n, err := c.Take(context.Background(), "q", &out, TakeOptions{Count: 2, Lines: true})
	if n != 2 || err != nil || out.String() != "one\n\n" {
		t.Errorf("took %d, %v, wrote %q; want 2 items in lines", n, err, &out)
	}
}

func TestTakeEndsWithTheQueue(t *testing.T) {
	c := against(t,
		[2]string{"get q/t=1500/close/open\r\n", "VALUE q 0 3\r\none\r\nEND\r\n"},
		[2]string{"get q/t=1500/close/open\r\n", "END\r\n"})
	var out bytes.Buffer
	n, err := c.Take(context.Background(), "q", &out, TakeOptions{Wait: 1500 * time.Millisecond})
	if n != 1 || err != nil || out.String() != "one" {
		t.Errorf("took %d, %v, wrote %q; want 1 item", n, err, &out)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 1, io.ErrClosedPipe }

func TestTakeDoesNotConfirmWhatCouldNotBeWritten(t *testing.T) {
	c := against(t, [2]string{"get q/t=0/close/open\r\n", "VALUE q 0 3\r\none\r\nEND\r\n"})
	n, err := c.Take(context.Background(), "q", brokenWriter{}, TakeOptions{Count: 1})
	if n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("took %d, %v; want 0 and the writer's error", n, err)
	}
}

func TestAnItemThatBreaksOffIsAnError(t *testing.T) {
	for _, answer := range []string{"VALUE q 0 5\r\nhel", "VALUE q 0 5\r\nhello",
		"VALUE q 0 5\r\nhello\r\n", "VALUE q", "HTTP/1.1 400 Bad Request\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err == nil {
				bufio.NewReader(conn).ReadString('\n')
				io.WriteString(conn, answer)
				conn.Close()
			}
		}()
		c, err := Dial(context.Background(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.Take(context.Background(), "q", io.Discard, TakeOptions{Count: 1})
		if err == nil {
			t.Errorf("%q: took %d without an error, want one", answer, n)
		}
		c.Close()
		l.Close()
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	c := against(t,
		[2]string{"get q/t=60000/close/open\r\n", "END\r\n"},
		[2]string{"get q/t=60000/close/open\r\n", "VALUE q 0 3\r\none\r\nEND\r\n"},
		[2]string{"get q/t=60000/close/open\r\n", ""})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n, err := c.Take(ctx, "q", writerFunc(func(p []byte) (int, error) {
		time.AfterFunc(time.Millisecond, cancel) // the next wait, or the check before it
		return len(p), nil
	}), TakeOptions{Follow: true})
	if n != 1 || err != nil {
		t.Errorf("took %d, %v; want 1 and no error", n, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
