package transport

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/darner/darner/server/memcache"
)

// given is a connection whose session has had some input.
func given(h *harness, text string) *conn {
	c := &conn{session: memcache.NewSession(h.env, memcache.Peer{}, func() {})}
	c.in = newInput(&h.server.buffers)
	c.in.filled(copy(c.in.space(len(text)), text))
	c.process(nil)
	h.t.Cleanup(c.session.Close)
	return c
}

func TestAClientMayPauseInTheMiddleOfARequest(t *testing.T) {
	h := goroutines.harness(t, 10)
	for text, want := range map[string]bool{
		"":                                  false,
		"set q 0 0 5\r\nhello\r\n":          false,
		"get q\r\n":                         false,
		"g":                                 true,
		"set q 0 0 5\r\n":                   true,
		"set q 0 0 5\r\nhel":                true,
		"get q\r\nset q 0 0 5\r\nhello":     true,
		"set q 0 0 60000\r\n":               true,
		"set q 0 0 60000\r\n" + full:        false, // full packets wait for nothing
		"set q 0 0 10000000\r\n":            false, // nor do those of a large item
		"set q 0 0 5\r\nhello\r\nget q\r\n": false,
	} {
		if got := given(h, text).paused(); got != want {
			t.Errorf("%.30q: got %v, want %v", text, got, want)
		}
	}
}

var full = strings.Repeat("x", 10_000)

func TestTheBeginningOfARequestIsAcknowledgedAtOnce(t *testing.T) {
	h := goroutines.harness(t, 10)
	server, client := net.Pipe()
	defer client.Close()
	c := newPortableConn(newPortable(h.server), server, memcache.Peer{})
	acks := 0
	c.ackNow = func() { acks++ }
	h.server.acceptor.enter()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run()
	}()
	say := func(text, answer string) {
		t.Helper()
		if _, err := client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(answer))
		if _, err := io.ReadFull(client, got); err != nil || string(got) != answer {
			t.Fatalf("got %q, %v to %q, want %q", got, err, text, answer)
		}
	}
	say("set q 0 0 5\r\n", "")
	say("hello\r\n", "STORED\r\n")
	say("set q 0 0 5\r\nthere\r\n", "STORED\r\n")
	say("get q/pe", "")
	say("ek\r\n", "VALUE q 0 5\r\nhello\r\nEND\r\n")
	say("quit\r\n", "")
	<-done
	if acks != 2 {
		t.Errorf("got %d acknowledgements, want 2", acks)
	}
}
