package memcache

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestADumpOfManyQueuesComesInSlices(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	const queues = 300
	for i := range queues {
		c.set(fmt.Sprintf("q%03d-%0200d", i, i), "a")
	}
	for request, least := range map[string]int{"dump_stats\r\n": 3, "dump_config\r\n": 2} {
		s := NewSession(sv.env, Peer{Local: true}, func() {})
		defer s.Close()
		in := []byte(request)
		var all bytes.Buffer
		parts := 0
		for !bytes.HasSuffix(all.Bytes(), []byte("END\r\n")) {
			n, out := s.Process(in, nil)
			if in = in[n:]; len(out) > OutputLimit+chunkSize {
				t.Fatalf("got %d bytes of output at once, want a bound", len(out))
			}
			if s.Sent(len(out)); len(out) > 0 {
				parts++
			}
			all.Write(out)
			if s.State() == Working {
				s.Job()()
			}
		}
		got := strings.Count(all.String(), "\r\n}\r\n")
		if parts < least || got != queues {
			t.Errorf("%q: got %d slices with %d queues, want %d with %d", request, parts, got, least, queues)
		}
		for line := range strings.Lines(all.String()) {
			pair := strings.HasPrefix(line, "  ") && strings.Count(line, "=") == 1 &&
				strings.Count(line, " ") == 2
			if !pair && line != "END\r\n" && line != "}\r\n" && !strings.HasPrefix(line, "queue 'q") {
				t.Fatalf("%q: got line %q, want a name and a value", request, line)
			}
		}
	}
}

func TestDumpConfigHasTheSettingsOfEachQueue(t *testing.T) {
	sv := newServer(t)
	sv.env.QueueSettings = func(name string) []Setting { return []Setting{{"of", name}, {"parity", "1"}} }
	c := sv.dial()
	c.set("a", "1")
	c.set("b", "1")
	c.expect("dump_config\r\n", "queue 'a' {\r\n  of=a\r\n  parity=1\r\n}\r\n"+
		"queue 'b' {\r\n  of=b\r\n  parity=1\r\n}\r\nEND\r\n")
	sv.env.QueueSettings = nil
	c.expect("dump_config\r\n", "END\r\n")
}

func TestExpiredItemsThatAreFlushedAreCounted(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	for range 100 {
		c.expect("set q 0 1 1\r\na\r\nset r 0 1 1\r\na\r\n", "STORED\r\nSTORED\r\n")
	}
	c.set("q", "stays")
	c.expect("flush_expired q\r\nflush_all_expired\r\n", "0\r\n0\r\n")
	day, _ := sv.clock.Now()
	sv.clock.SetDay(day.Add(1500 * time.Millisecond)) // no timer rings: the sweeper does not come
	c.expect("flush_expired q\r\nflush_expired q\r\nflush_all_expired\r\n", "100\r\n0\r\n100\r\n")
	c.expect("get q r\r\n", value("q", "stays"))
}

func TestAStoppingServerDoesNotFlushAllThatHasExpired(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.set("a", "x")
	c.s.Drain()
	c.expect("flush_all_expired\r\n", serverError(errStopping))
}
