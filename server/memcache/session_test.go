package memcache

import (
	"strings"
	"testing"

	"github.com/darner/darner/server/queue"
)

func TestRequestsMayArriveByteByByte(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	var answers string
	for _, b := range []byte("set q 7 0 5\r\nhello\r\nset q 1 0 0\n\nget q\r\nget q/open\r\nnonsense\r\nversion\r\n") {
		answers += c.ask("%c", b)
	}
	want := "STORED\r\nSTORED\r\nVALUE q 7 5\r\nhello\r\nEND\r\nVALUE q 1 0\r\n\r\nEND\r\nERROR\r\nVERSION 1.2.3\r\n"
	if answers != want {
		t.Errorf("got %q, want %q", answers, want)
	}
}

func TestGetIsConfirmedWhenItsReplyIsSentWhole(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", "a", "b")
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	_, out := s.Process([]byte("get q\r\nget q\r\n"), nil)
	first := len(value("q", "a"))
	for _, step := range []struct{ sent, open int }{
		{first - 1, 2}, {1, 1}, {0, 1}, {len(out) - first - 1, 1}, {1, 0},
	} {
		s.Sent(step.sent)
		if open := sv.openTransactions(); open != step.open {
			t.Errorf("%d items reserved after %d bytes more, want %d", open, step.sent, step.open)
		}
	}
	if n := sv.items("q"); n != 0 {
		t.Errorf("got %d items left, want none", n)
	}
}

func TestReplyNotSentWholeGoesBackWhenTheConnectionEnds(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.set("q", "a", "b", "c", "d")
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	_, out := s.Process([]byte("get q\r\nget q\r\nget q\r\n"), nil)
	s.Sent(len(out) - 1)
	s.Close()
	s.Close()
	if open := sv.openTransactions(); open != 0 {
		t.Errorf("got %d items open, want none", open)
	}
	c.expect("get q\r\nget q\r\nget q\r\n", value("q", "c")+value("q", "d")+"END\r\n")
}

func TestSeveralKeysAreConfirmedWithTheWholeReply(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.set("a", "1")
	c.set("b", "2")
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	_, out := s.Process([]byte("get a b c\r\n"), nil)
	s.Sent(len(out) - 1)
	if open := sv.openTransactions(); open != 2 {
		t.Errorf("%d items reserved, want 2", open)
	}
	s.Sent(1)
	if open := sv.openTransactions(); open != 0 {
		t.Errorf("%d items reserved, want none", open)
	}
	s.Close()
}

func TestOutputIsNotCountedTwiceWhenProcessAppendsToIt(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", "a", "b")
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	_, out := s.Process([]byte("get q\r\n"), nil)
	_, out = s.Process([]byte("get q\r\n"), out) // none of it was sent yet
	s.Sent(len(out) / 2)
	if open := sv.openTransactions(); open != 1 {
		t.Errorf("%d items reserved after the first reply, want 1", open)
	}
	s.Sent(len(out) / 2)
	if open := sv.openTransactions(); open != 0 {
		t.Errorf("%d items reserved after both, want none", open)
	}
}

func TestUnsentRepliesHoldUpRequestsNotForEver(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	const n = pendingLimit + 100
	for range n {
		c.set("q", "")
	}
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	in := []byte(strings.Repeat("get q\r\n", n))
	consumed, out := s.Process(in, nil)
	if open := sv.openTransactions(); open != pendingLimit {
		t.Errorf("%d items on their way out, want %d", open, pendingLimit)
	}
	if s.State() != Ready || s.Need() > len(in)-consumed {
		t.Errorf("state %d, needs %d: it should only want its output taken", s.State(), s.Need())
	}
	s.Sent(len(out))
	rest, out := s.Process(in[consumed:], nil)
	s.Sent(len(out))
	if consumed+rest != len(in) || sv.items("q") != 0 || sv.openTransactions() != 0 {
		t.Errorf("got %d of %d consumed, %d items left, %d open, want all, none, none",
			consumed+rest, len(in), sv.items("q"), sv.openTransactions())
	}
}

func TestOutputOfManyItemsIsBounded(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	payload := strings.Repeat("x", 60<<10)
	for range 20 {
		c.set("q", payload)
	}
	woken := make(chan struct{}, 1)
	s := NewSession(sv.env, Peer{Local: true}, func() { woken <- struct{}{} })
	defer s.Close()
	in := []byte("get" + strings.Repeat(" q", 20) + "\r\n")
	var all []byte
	for range 100 {
		n, out := s.Process(in, nil)
		for s.State() == Waiting { // for the next segment to be opened
			<-woken
			var more int
			more, out = s.Process(in[n:], out)
			n += more
		}
		if in = in[n:]; len(out) > OutputLimit {
			t.Fatalf("got %d bytes of text at once, want a bound", len(out))
		}
		out = send(s, out)
		if all = append(all, out...); len(out) == 0 {
			break
		}
	}
	if want := strings.Repeat("VALUE q 0 61440\r\n"+payload+"\r\n", 20) + "END\r\n"; string(all) != want {
		t.Errorf("answered %d bytes, want %d", len(all), len(want))
	}
	if sv.openTransactions() != 0 {
		t.Error("got open items, want none")
	}
}

func TestNeedIsWhatTheBodyTakes(t *testing.T) {
	sv := newServer(t)
	sv.dial().set("q", "a")
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	for _, c := range []struct {
		in   string
		need int
	}{
		{"", 1}, {"get", 4}, {"set q 0 0 100\r\n", 101}, {strings.Repeat("x", 100), 101}, {strings.Repeat("x", 100) + "\r", 102},
	} {
		n, _ := s.Process([]byte(c.in), nil)
		if s.Need() != c.need {
			t.Errorf("after %.20q: got %d consumed and a need of %d, want %d", c.in, n, s.Need(), c.need)
		}
	}
}

func TestPendingRingKeepsOrderAsItGrowsAndTurns(t *testing.T) {
	var r pendingRing
	next, oldest := uint64(1), uint64(1)
	for round := range 200 {
		for range round % 13 {
			r.push(pendingItem{end: next, item: queue.Item{Enqueued: int64(next)}})
			next++
		}
		for range round % 11 {
			if p, ok := r.pop(unfinished); ok {
				if p.end != oldest {
					t.Fatalf("popped %d, want %d", p.end, oldest)
				}
				oldest++
			}
		}
	}
	r.push(pendingItem{end: unfinished})
	r.push(pendingItem{end: unfinished})
	r.finish(next)
	for ; oldest < next; oldest++ {
		if p, ok := r.pop(next - 1); !ok || p.end != oldest {
			t.Fatalf("popped %d, %v, want %d", p.end, ok, oldest)
		}
	}
	if _, ok := r.pop(next - 1); ok {
		t.Error("got an item whose reply is not sent, want none")
	}
	for range 2 {
		if p, ok := r.pop(next); !ok || p.end != next {
			t.Errorf("got %d, %v, want %d", p.end, ok, next)
		}
	}
}

func TestItemsOpenedAheadAreBounded(t *testing.T) {
	const most = 5
	sv := newServer(t, func(sv *testServer) { sv.env.MaxOpenAhead = most })
	c := sv.dial()
	for range most + 1 {
		c.set("q", "x")
	}
	for range most {
		c.expect("get q/open/ahead\r\n", value("q", "x"))
	}
	c.expect("get q/open/ahead\r\n", closeFirst)
	c.expect("get q/close/open/ahead\r\n", value("q", "x"))
}

func TestNothingIsOpenedAheadWhereThatIsSwitchedOff(t *testing.T) {
	sv := newServer(t, func(sv *testServer) { sv.env.MaxOpenAhead = 0 })
	c := sv.dial()
	c.set("q", "a", "b")
	c.expect("get q/open/ahead\r\n", value("q", "a"))
	c.expect("get q/open/ahead\r\n", closeFirst)
}

func TestEachKeyOfAGetMayOpenWhatThoseBeforeItLeave(t *testing.T) {
	for _, c := range []struct {
		keys     string
		together bool // /close acts on what is open, whatever its queue
		refused  bool
	}{
		{"q r s", false, true},
		{"r s", false, false},
		{"r s", true, true},
		{"r/open s/open", false, false},
		{"r/open r", false, true},
		{"r/open s/open", true, true},
		{"q/close r/open s", true, true},
		{"q/close r/open r/abort s/open", true, false},
		{"q/close q/open s r/open", false, false},
		{"q/close q/open q", false, true},
		{"q/open/ahead q/open/ahead", false, false},
		{"q/open/ahead q/close q", false, true},
		{"q/peek q/close q/close q", false, false},
	} {
		sv := newServer(t, func(sv *testServer) { sv.env.Dialect.CloseAny = c.together })
		conn := sv.dial()
		conn.set("q", "a")
		conn.expect("get q/open\r\n", value("q", "a"))
		want := endOfAnswer
		if c.refused {
			want = closeFirst
		}
		conn.expect("get "+c.keys+"\r\n", want)
	}
}
