package memcache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/darner/darner/server/status"
)

func TestAStopEndsAMonitor(t *testing.T) {
	sv := newServer(t, openReads(10))
	c := sv.dial()
	c.set("q", "a")
	c.expect("monitor q 60\r\n", value("q", "a"))
	c.s.Drain()
	c.run()
	c.expect("monitor q 60\r\nconfirm q 1\r\n", "END\r\nEND\r\nEND\r\n")
}

func TestQuiescenceEndsAMonitorBeforeTheNextItem(t *testing.T) {
	sv := newServer(t, openReads(10))
	c := sv.dial()
	c.set("q", strings.Repeat("a", OutputLimit), strings.Repeat("b", OutputLimit))
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	_, out := s.Process([]byte("monitor q 60\r\n"), nil) // to the bound of what is in the output
	if got := send(s, out); len(got) < OutputLimit || strings.Contains(string(got), "b") {
		t.Fatalf("got %d bytes, want the first item", len(got))
	}
	if _, err := sv.env.Status.Set(status.Quiescent); err != nil {
		t.Fatal(err)
	}
	for s.State() != Ready || s.Need() == 0 {
		_, out := s.Process(nil, nil)
		if got := send(s, out); strings.Contains(string(got), "b") {
			t.Fatalf("got %.40q, want no other item", got)
		}
	}
	if open := sv.openTransactions(); open != 1 {
		t.Errorf("got %d items open, want 1", open)
	}
}

func TestAMonitorThatIsGivenUpMidwayGivesEverythingBack(t *testing.T) {
	sv := newServer(t, openReads(10), inlineMax(1<<10))
	large := strings.Repeat("0123456789abcdef", 5*pieceBytes/16)
	sv.dial().set("q", "a", large, "b")
	for steps := range 20 {
		s := NewSession(sv.env, Peer{Local: true}, func() {})
		in := []byte("monitor q 60\r\n")
		for range steps {
			n, out := s.Process(in, nil)
			in = in[n:]
			send(s, out)
			if s.State() == Working {
				s.Job()()
			}
		}
		s.Close()
		if open := sv.openTransactions(); open != 0 || sv.items("q") != 3 {
			t.Fatalf("left after %d steps: got %d items open, %d there, want 0 and 3", steps, open,
				sv.items("q"))
		}
	}
	sv.dial().expect("monitor q 60 3\r\n",
		value("q", "a")+value("q", large)+value("q", "b")+"END\r\n")
}

func TestAMonitorPassesOverDamagedItems(t *testing.T) {
	sv := newServer(t, openReads(10))
	c := sv.dial()
	c.set("q", "first item", "second item")
	sv.damage("first item")
	c.expect("monitor q 60 1\r\n", value("q", "second item")+"END\r\n")
}

func TestAMonitorLoadsAQueueThatIsParked(t *testing.T) {
	sv := newServer(t, openReads(10))
	sv.dial().set("q", "a", "b")
	sv.restart()
	sv.dial().expect("monitor q 60 2\r\n", value("q", "a")+value("q", "b")+"END\r\n")
}

func TestMonitorsCountEachItemAsAGet(t *testing.T) {
	sv := newServer(t, openReads(10))
	c := sv.dial()
	c.set("q", "a", "b")
	c.ask("monitor q 5\r\n") // until it waits
	sv.pass(5000)
	c.run()
	n := sv.env.Counters
	got := [3]uint64{n.CmdGet.Load(), n.GetHits.Load(), n.GetMisses.Load()}
	if got != [3]uint64{3, 2, 1} {
		t.Errorf("got %v gets, hits and misses, want 3, 2 and 1", got)
	}
}

func TestThousandsOfItemsAreMonitoredAndConfirmed(t *testing.T) {
	const n = 3000
	sv := newServer(t, openReads(n))
	c := sv.dial()
	var want strings.Builder
	for i := range n {
		text := fmt.Sprintf("%0100d", i)
		c.set("q", text)
		want.WriteString(value("q", text))
	}
	c.expect("monitor q 60\r\n", want.String()+"END\r\n")
	c.expect(fmt.Sprintf("confirm q %d\r\n", n-1), "END\r\n")
	if open := sv.openTransactions(); open != 1 {
		t.Errorf("got %d items open, want 1", open)
	}
	c.expect("confirm q 18446744073709551615\r\nget q\r\n", "END\r\nEND\r\n")
}

// There close acts on whatever is open, and so does confirm; the bound is for all queues together.
func TestWithOneBoundForAllQueuesMonitorAndConfirmKeepToIt(t *testing.T) {
	sv := newServer(t, openReads(2), func(sv *testServer) { sv.env.Dialect.CloseAny = true })
	c := sv.dial()
	c.set("q", "a", "b")
	c.set("r", "c")
	c.expect("get r/open\r\n", value("r", "c"))
	c.expect("monitor q 60\r\n", value("q", "a")+"END\r\n")
	c.expect("confirm q 2\r\nget r/close\r\n", "END\r\nEND\r\n")
	if open := sv.openTransactions(); open != 0 {
		t.Errorf("got %d items open, want none", open)
	}
}
