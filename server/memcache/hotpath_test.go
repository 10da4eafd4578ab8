package memcache

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

const (
	setRequest = "set work 7 0 64\r\n" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + "\r\n"
	getRequest = "get work\r\n"
	setAnswer  = "STORED\r\n"
	getAnswer  = "VALUE work 7 64\r\n" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + "\r\nEND\r\n"
)

// hot is a session with its buffers, and requests that it answers at once.
type hot struct {
	t   testing.TB
	s   *Session
	out []byte
}

func newHot(t testing.TB) *hot {
	sv := newServer(t)
	sv.dial().expect(setRequest+getRequest, setAnswer+getAnswer) // the queue is loaded
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	t.Cleanup(s.Close)
	return &hot{t: t, s: s, out: make([]byte, 0, OutputLimit)}
}

func (h *hot) ask(request, answer []byte) {
	n, out := h.s.Process(request, h.out)
	for h.s.State() == Waiting { // what the background gets ready
		runtime.Gosched()
		var more int
		more, out = h.s.Process(request[n:], out)
		n += more
	}
	if n != len(request) || !bytes.Equal(out, answer) {
		h.t.Fatalf("%q: got %d bytes consumed, answer %q, want all and %q", request, n, out, answer)
	}
	h.s.Sent(len(out))
}

func TestSetAndGetAllocateNothing(t *testing.T) {
	h := newHot(t)
	set, get := []byte(setRequest), []byte(getRequest)
	stored, value := []byte(setAnswer), []byte(getAnswer)
	allocs := testing.AllocsPerRun(1000, func() {
		h.ask(set, stored)
		h.ask(get, value)
	})
	if allocs != 0 {
		t.Errorf("got %v allocations for a set and a get, want none", allocs)
	}
}

func TestPipelinedSetsAndGetsAllocateNothing(t *testing.T) {
	h := newHot(t)
	const depth = 32
	requests := []byte(strings.Repeat(setRequest, depth) + strings.Repeat(getRequest, depth))
	answers := []byte(strings.Repeat(setAnswer, depth) + strings.Repeat(getAnswer, depth))
	if allocs := testing.AllocsPerRun(200, func() { h.ask(requests, answers) }); allocs != 0 {
		t.Errorf("got %v allocations for %d sets and gets, want none", allocs, depth)
	}
}

func TestReliableReadsAllocateNothing(t *testing.T) {
	h := newHot(t)
	requests := []byte(setRequest + setRequest + "get work/open\r\nget work/close/open/t=100\r\nget work/close\r\nget work/peek\r\n")
	answers := []byte(setAnswer + setAnswer + getAnswer + getAnswer + "END\r\nEND\r\n")
	if allocs := testing.AllocsPerRun(200, func() { h.ask(requests, answers) }); allocs != 0 {
		t.Errorf("got %v allocations, want none", allocs)
	}
}

func TestKeysThatComeBackAsAskedAllocateNothing(t *testing.T) {
	h := newHot(t)
	h.s.env.Dialect.EchoAsked = true
	requests := []byte(setRequest + "get other/t=0 work/open\r\nget work/close\r\n")
	answers := []byte(setAnswer + strings.Replace(getAnswer, "work", "work/open", 1) + "END\r\n")
	if allocs := testing.AllocsPerRun(200, func() { h.ask(requests, answers) }); allocs != 0 {
		t.Errorf("got %v allocations, want none", allocs)
	}
}

func BenchmarkSetGet(b *testing.B) {
	h := newHot(b)
	set, get := []byte(setRequest), []byte(getRequest)
	stored, value := []byte(setAnswer), []byte(getAnswer)
	for b.Loop() {
		h.ask(set, stored)
		h.ask(get, value)
	}
}
