package memcache

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// foreigners are the beginnings of other protocols' conversations.
var foreigners = []string{
	"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n",
	"PUT /q HTTP/1.0\n",
	"set q 0 0 1 HTTP/1.1\r\n",
	"version HTTP/2\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"Host: localhost\r\n",
	"X-Forwarded-For:10.0.0.1\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"\x80\x01\x00\x01",
}

// mayFollow reports whether the protocol is told from its first line wherever it comes.
func mayFollow(hello string) bool { return strings.Contains(hello, " HTTP/") }

func TestOtherProtocolsAreHungUpOnAndNothingBehindThemIsDone(t *testing.T) {
	const behind = "set q 0 0 1\r\nb\r\nflush_all\r\nversion\r\n"
	for _, hello := range foreigners {
		sv := newServer(t)
		sv.dial().set("q", "a")
		whole := hello + behind
		for cut := range len(whole) {
			c := sv.dial()
			answer := c.ask("%s", whole[:cut]) + c.ask("%s", whole[cut:])
			if answer != "" || !c.closed {
				t.Fatalf("%q cut at %d: got %q, closed %v, want no answer and the end", hello, cut, answer, c.closed)
			}
			if !mayFollow(hello) {
				continue
			}
			c = sv.dial()
			const good = "version\r\nset other 0 0 1\r\na\r\n"
			answer = c.ask("%s", good+whole[:cut]) + c.ask("%s", whole[cut:])
			if answer != "VERSION 1.2.3\r\nSTORED\r\n" || !c.closed {
				t.Fatalf("%q cut at %d behind requests: got %q, closed %v, want their answers and the end", hello, cut, answer, c.closed)
			}
		}
		sv.dial().expect("get q\r\nget q\r\n", value("q", "a")+"END\r\n")
	}
}

func TestEachOtherProtocolIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	logged := func(sv *testServer) { sv.env.Logger = slog.New(slog.NewTextHandler(&log, nil)) }
	sv := newServer(t, logged)
	for range 3 {
		for _, hello := range foreigners {
			sv.dial().expect(hello, "")
		}
	}
	for _, name := range []string{"binary protocol", "TLS", "HTTP"} {
		if n := strings.Count(log.String(), "speaks "+name) + strings.Count(log.String(), "memcached's "+name); n != 1 {
			t.Errorf("%s: got %d log lines, want 1: %s", name, n, log.String())
		}
	}
}

// FuzzOtherProtocols puts the beginning of another protocol behind requests, in arbitrary pieces:
// whatever comes then, nothing more is answered or done.
func FuzzOtherProtocols(f *testing.F) {
	f.Add(uint8(0), uint8(0), uint8(3), []byte("\r\nflush_all\r\n"))
	f.Add(uint8(1), uint8(2), uint8(40), []byte("set q 0 0 1\r\nb\r\n"))
	f.Add(uint8(8), uint8(0), uint8(1), []byte("\nget q\n"))
	shared := newServer(f)
	f.Fuzz(func(t *testing.T, which, requests, piece uint8, behind []byte) {
		sv := *shared
		sv.t = t
		hello := foreigners[int(which)%len(foreigners)]
		if !mayFollow(hello) {
			requests = 0
		}
		sent := []byte(strings.Repeat("get q/peek\r\n", int(requests)) + hello + string(behind))
		sv.dial().expect("flush q\r\nset q 0 0 1\r\na\r\n", "END\r\nSTORED\r\n")
		c := sv.dial()
		var got string
		for len(sent) > 0 {
			n := min(int(piece)+1, len(sent))
			got += c.ask("%s", sent[:n])
			sent = sent[n:]
		}
		if want := strings.Repeat(value("q", "a"), int(requests)); got != want || !c.closed {
			t.Errorf("got %q, closed %v, want %d answers and the end", got, c.closed, requests)
		}
		sv.dial().expect("get q\r\nget q\r\n", value("q", "a")+"END\r\n")
	})
}
