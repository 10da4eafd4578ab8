package memcache

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
)

// long is a payload that is lent, of which each 16 bytes are found once.
var long = large(1)[:lendFrom+1000]

// began is a session that has answered a request and sent nothing, and the text of the answer.
func (sv *testServer) began(request string) (s *Session, text []byte) {
	sv.t.Helper()
	s = NewSession(sv.env, Peer{Local: true}, func() {})
	sv.t.Cleanup(s.Close)
	in := []byte(request)
	n, text := s.Process(in, nil)
	for s.State() == Working {
		s.Job()()
		n, text = s.Process(in[n:], text)
	}
	return s, text
}

func TestALongPayloadIsLentBetweenTheTextOfItsAnswer(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", long)
	s, text := sv.began("get q\r\n")
	if want := strings.Replace(value("q", long), long, "", 1); string(text) != want || !s.Lends() {
		t.Errorf("got the text %q, loans %v, want %q and a loan", text, s.Lends(), want)
	}
	if all := send(s, text); string(all) != value("q", long) || s.Lends() {
		t.Errorf("got %d bytes, loans %v, want the item and none", len(all), s.Lends())
	}
	if sv.openTransactions() != 0 || sv.items("q") != 0 {
		t.Errorf("got %d items open, %d left, want none", sv.openTransactions(), sv.items("q"))
	}
}

func TestTheEndOfAnAnswerLeavesWithItsLastItemHoweverLongThatIs(t *testing.T) {
	sv := pieces(t)
	c := sv.dial()
	for _, size := range []int{100, OutputLimit, 200 << 10, 900 << 10} {
		payload := stretch(size, 'x')
		c.set("q", payload)
		s, text := sv.began("get q\r\n")
		if all := send(s, text); string(all) != value("q", payload) {
			t.Errorf("%d bytes: got %d bytes at once, want %d", size, len(all),
				len(value("q", payload)))
		}
	}
}

func TestALongItemNotSentWholeComesBackOnceInItsOldPlace(t *testing.T) {
	for _, request := range []string{"get q", "get q/open", "get q q", "gets q"} {
		sv := newServer(t)
		c := sv.dial()
		c.set("q", long, "second")
		whole := len(value("q", long)) + len("END\r\n")
		for sent := 0; sent < whole-len("\r\nEND\r\nEND\r\n"); sent += whole / 7 {
			s, text := sv.began(request + "\r\n")
			s.Took(min(sent, len(text)+len(long)))
			s.Sent(min(sent, len(text)+len(long)))
			s.Close()
			if s.Lends() || sv.openTransactions() != 0 || sv.items("q") != 2 {
				t.Fatalf("%s: after %d bytes got loans %v, %d open, %d items, want none, 0, 2",
					request, sent, s.Lends(), sv.openTransactions(), sv.items("q"))
			}
		}
		c.expect("get q\r\nget q\r\nget q\r\n", value("q", long)+value("q", "second")+"END\r\n")
	}
}

func TestWhatIsLentStaysAsItIsWhateverBecomesOfItsItem(t *testing.T) {
	for _, request := range []string{
		"get q\r\n", "flush q\r\n", "delete q\r\n", "flush_all\r\n",
		"delete q\r\nset q 0 0 5\r\nother\r\nget q\r\n",
	} {
		sv := newServer(t)
		other := sv.dial()
		other.set("q", long)
		s, text := sv.began("get q/peek\r\n")
		other.ask("%s", request)
		for range 100 { // new segments
			other.set("q", strings.Repeat("y", 60000))
			other.ask("get q\r\n")
		}
		if all := send(s, text); string(all) != value("q", long) {
			t.Errorf("%q: got other bytes than the item's", request)
		}
	}
}

func TestPartsMakeUpTheAnswerHoweverLittleOfItIsTaken(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	random := rand.New(rand.NewPCG(1, 2))
	request, want := "get", ""
	for i := range 12 {
		name, payload := string(rune('a'+i)), long[:random.IntN(100)]
		if i%4 == 0 {
			payload = long[:lendFrom+random.IntN(100)]
		}
		c.set(name, payload)
		request += " " + name + "/peek"
		want += strings.TrimSuffix(value(name, payload), "END\r\n")
	}
	want += "END\r\n"
	for range 200 {
		s, text := sv.began(request + "\r\n")
		var got []byte
		room := make([]Part, 0, 1+random.IntN(MaxParts))
		buf := make([]byte, 1+random.IntN(9000))
		for len(got) < len(want) {
			n := 0
			for _, p := range s.Parts(text, room) {
				k, err := p.CopyTo(buf[n:])
				if err != nil {
					t.Fatal(err)
				}
				n += k
			}
			if n == 0 {
				break
			}
			got = append(got, buf[:n]...)
			text = text[s.Took(n):]
		}
		s.Close()
		if string(got) != want || len(text) > 0 {
			t.Fatalf("got %d bytes, %d of text left, want %d and none", len(got), len(text), len(want))
		}
	}
}

func TestAnItemFromAQueueThatWasParkedIsLentToo(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", long)
	sv.restart()
	sv.dial().expect("get q/peek\r\nget q\r\nget q\r\n",
		value("q", long)+value("q", long)+"END\r\n")
}

func TestAnItemThatIsLentAndLostIsTold(t *testing.T) {
	sv := newServer(t)
	var log bytes.Buffer
	sv.env.Logger = slog.New(slog.NewTextHandler(&log, nil))
	sv.dial().set("q", long)
	s, _ := sv.began("get q\r\n")
	s.Unreadable(errors.New("test"))
	s.Close()
	if got := log.String(); !strings.Contains(got, "queue=q item=1 error=test") {
		t.Errorf("got the log %q, want the queue, the item and the error", got)
	}
	if sv.items("q") != 1 {
		t.Errorf("got %d items, want it back", sv.items("q"))
	}
}

func TestAGetThatLendsAllocatesNothing(t *testing.T) {
	h := newHot(t)
	h.s.Process([]byte("set work 0 0 20000\r\n"+strings.Repeat("x", 20000)+"\r\n"), h.out)
	h.s.Took(len(setAnswer))
	h.s.Sent(len(setAnswer))
	request, parts := []byte("get work/peek\r\n"), make([]Part, 0, MaxParts)
	ask := func() {
		_, text := h.s.Process(request, h.out)
		if !h.s.Lends() {
			t.Fatalf("got the answer %q, want a loan", text)
		}
		sent := 0
		for _, p := range h.s.Parts(text, parts) {
			sent += len(p.Bytes)
		}
		h.s.Took(sent)
		h.s.Sent(sent)
	}
	ask()
	if n := testing.AllocsPerRun(200, ask); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
