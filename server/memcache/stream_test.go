package memcache

import (
	"bytes"
	"strings"
	"testing"
)

func TestLargeItemMovesInBoundedPieces(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	payload := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	c := sv.dial()
	c.set("q", payload)
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	in := []byte("get q\r\n")
	var all bytes.Buffer
	for all.Len() < len(value("q", payload)) {
		n, out := s.Process(in, nil)
		if in = in[n:]; len(out) > OutputLimit {
			t.Fatalf("got %d bytes of text at once, want a bound", len(out))
		}
		all.Write(send(s, out))
		if s.State() == Working {
			s.Job()()
		}
	}
	if all.String() != value("q", payload) || sv.openTransactions() != 0 {
		t.Errorf("got %d bytes, %d items open, want the item and none", all.Len(), sv.openTransactions())
	}
}

func TestLargeItemGoesBackWhenTheClientLeavesMidway(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	payload := strings.Repeat("0123456789abcdef", 5*pieceBytes/16)
	c := sv.dial()
	c.set("q", payload)
	for steps := range 8 {
		s := NewSession(sv.env, Peer{Local: true}, func() {})
		in := []byte("get q\r\n")
		for range steps {
			n, out := s.Process(in, nil)
			in = in[n:]
			send(s, out)
			if s.State() == Working {
				s.Job()()
			}
		}
		s.Close()
		if open := sv.openTransactions(); open != 0 || sv.items("q") != 1 {
			t.Fatalf("left after %d steps: got %d items open, %d there, want 0 and 1", steps, open, sv.items("q"))
		}
	}
	c.expect("get q\r\n", value("q", payload))
}

func TestLargeItemAfterOthersGoesBackToo(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	c := sv.dial()
	c.set("a", "1")
	c.set("b", strings.Repeat("x", 2*pieceBytes))
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	n, out := s.Process([]byte("get a b\r\n"), nil)
	send(s, out)
	s.Job()()
	_, out = s.Process([]byte("get a b\r\n")[n:], nil)
	if all := send(s, out); len(all) < chunkSize {
		t.Errorf("got %d bytes of the large item, want a chunk", len(all))
	}
	s.Close()
	if sv.openTransactions() != 0 || sv.items("a") != 1 || sv.items("b") != 1 {
		t.Errorf("got %d open, %d and %d there, want 0, 1, 1",
			sv.openTransactions(), sv.items("a"), sv.items("b"))
	}
}

// A client that is slow to take an answer looks silent, and the memory of its session is released.
func TestReleasingMemoryInTheMiddleOfAnAnswerChangesNothing(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	c := sv.dial()
	large := strings.Repeat("0123456789abcdef", 3*pieceBytes/16)
	c.set("a", "1")
	c.set("b", large)
	c.set("c", "2")
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	in, said := []byte("get a b c\r\n"), ""
	for steps := 0; steps < 100 && !strings.HasSuffix(said, "END\r\n"); steps++ {
		n, out := s.Process(in, nil)
		s.ReleaseMemory()
		in, said = in[n:], said+string(send(s, out))
		s.ReleaseMemory()
		if s.State() == Working {
			s.Job()()
		}
		s.ReleaseMemory()
	}
	want := strings.ReplaceAll(value("a", "1")+value("b", large)+value("c", "2"), "END\r\n", "") + "END\r\n"
	if said != want || sv.openTransactions() != 0 {
		t.Errorf("got %d bytes, %d items open, want %d and none",
			len(said), sv.openTransactions(), len(want))
	}
}

func TestUploadIsSwallowedWhenItsQueueIsDeleted(t *testing.T) {
	sv := newServer(t, inlineMax(1<<10))
	a, b := sv.dial(), sv.dial()
	a.expect("set q 0 0 300000\r\n"+strings.Repeat("x", 100000), "")
	b.expect("delete q\r\n", "DELETED\r\n")
	got := a.ask("%s\r\nversion\r\n", strings.Repeat("x", 200000))
	if !strings.HasPrefix(got, "SERVER_ERROR ") || !strings.HasSuffix(got, "\r\nVERSION 1.2.3\r\n") {
		t.Errorf("got %q, want an error, then the version", got)
	}
	b.expect("get q\r\n", "END\r\n")
}
