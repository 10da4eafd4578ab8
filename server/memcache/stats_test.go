package memcache

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk/disktest"
)

func TestStatsOfManyQueuesComeInSlices(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	const queues = 300
	for i := range queues {
		c.set(fmt.Sprintf("queue-with-a-long-name-%0200d", i), "a")
	}
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	in := []byte("stats\r\n")
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
	if got := strings.Count(all.String(), "_items 1\r\n"); parts < 10 || got < queues {
		t.Errorf("got %d slices with %d queues, want 10 with %d or more", parts, got, queues)
	}
	for line := range strings.Lines(all.String()) {
		stat := strings.HasPrefix(line, "STAT ") && strings.HasSuffix(line, "\r\n") &&
			strings.Count(line, " ") == 2
		if line != "END\r\n" && !stat {
			t.Fatalf("got line %q, want STAT, a name and a value", line)
		}
	}
}

// The server's lines need no disk and come first: a monitor that waits for them need not wait for
// 10,000 queues that nobody opened since the start.
func TestTheServersLinesComeBeforeAnyQueueIsLookedAt(t *testing.T) {
	fs := disktest.New()
	sv := newServer(t, func(sv *testServer) { sv.queues.Log.FS = fs })
	c := sv.dial()
	for i := range 20 {
		c.set(fmt.Sprint("q", i), "a", "b")
	}
	if err := sv.registry.Close(); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	fs.Fail(func(op disktest.Op, name string, _ int) error {
		if strings.Contains(name, "/q") {
			<-hold
		}
		return nil
	})
	sv.open()
	s := NewSession(sv.env, Peer{Local: true}, func() {})
	defer s.Close()
	answer := func() string {
		s.Job()()
		n, out := s.Process(nil, nil)
		if s.Sent(len(out)); n != 0 {
			t.Fatalf("got %d bytes consumed, want none", n)
		}
		return string(out)
	}
	s.Process([]byte("stats\r\n"), nil)
	global := answer()
	if !strings.Contains(global, "STAT curr_items 0\r\n") || !strings.Contains(global, "STAT uncounted_queues 20\r\n") {
		t.Fatalf("got %q, want no items and 20 uncounted queues", global)
	}
	close(hold)
	queues := answer()
	if n := strings.Count(queues, "_items 2\r\n"); n < 20 || !strings.HasSuffix(queues, "END\r\n") {
		t.Fatalf("got %d queues with two items in %q, want 20", n, queues)
	}
	if n := sv.registry.Totals().Loaded; n != 0 {
		t.Errorf("got %d queues loaded, want none", n)
	}
}

func TestStatsSettings(t *testing.T) {
	newServer(t).dial().expect("stats settings\r\nSTATS SETTINGS\r\n",
		strings.Repeat("STAT data /var/lib/darner\r\nSTAT max-open-reads 1\r\nEND\r\n", 2))
}

func TestStatsResetKeepsTheConnections(t *testing.T) {
	sv := newServer(t)
	sv.env.Counters.Connections.Store(3)
	sv.env.Counters.BytesRead.Store(3)
	c := sv.dial()
	c.expect("stats reset\r\n", "RESET\r\n")
	stats := c.ask("stats\r\n")
	if !strings.Contains(stats, "STAT curr_connections 3\r\n") ||
		!strings.Contains(stats, "STAT bytes_read 0\r\n") {
		t.Errorf("got %q, want 3 connections and 0 bytes read", stats)
	}
}

func TestMissesAndHitsAddUpToGets(t *testing.T) {
	sv := newServer(t)
	c := sv.dial()
	c.set("a", "1", "2")
	c.ask("get a b c\r\nget a/open b/close c/peek\r\nget b/t=0\r\nget a/close\r\n")
	n := sv.env.Counters
	got := []uint64{
		n.CmdGet.Load(), n.GetHits.Load(), n.GetMisses.Load(), n.CmdPeek.Load(), n.CmdSet.Load(),
	}
	if want := []uint64{5, 2, 3, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v gets, hits, misses, peeks and sets, want %v", got, want)
	}
}

func TestUptimeIsNotWhatTheTimeOfDayIsSetTo(t *testing.T) {
	sv := newServer(t)
	before := sv.env.Now() / 1000
	sv.set(time.Hour)
	sv.pass(100_000)
	stats := sv.dial().ask("stats\r\n")
	var uptime, at int64
	fmt.Sscanf(stats, "STAT uptime %d\r\nSTAT time %d\r\n", &uptime, &at)
	if uptime != 100 || at != before+3700 {
		t.Errorf("got %d s of uptime, %d s later, want 100 and 3700", uptime, at-before)
	}
}

// The original's readers know these lines alone, and take each that begins with queue for one of a
// queue.
func TestTheFormatOfTheOriginalHasNineLinesAndThreeAQueue(t *testing.T) {
	sv := newServer(t)
	sv.env.Dialect.Stats = StatsDarner
	c := sv.dial()
	c.set("a", "1", "2")
	c.set("b", "1")
	c.ask("get a/open\r\nget b\r\n")
	var names []string
	for line := range strings.Lines(c.ask("stats\r\n")) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "STAT "), " ")
		names = append(names, strings.TrimSpace(name))
	}
	want := strings.Fields(`uptime time version curr_items total_items
		curr_connections total_connections cmd_get cmd_set
		queue_a_items queue_a_waiters queue_a_open_transactions
		queue_b_items queue_b_waiters queue_b_open_transactions END`)
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if one := c.ask("stats queue a\r\n"); !strings.Contains(one, "STAT queue_a_total_items 2\r\n") {
		t.Errorf("got %q for one queue, want all its figures", one)
	}
}

// collectd's plugin reads 4 KiB, and fails if END is not among them.
func TestTheFormatOfTheServerAloneFitsWithAnyNumberOfQueues(t *testing.T) {
	sv := newServer(t, func(sv *testServer) { sv.env.Dialect.Stats = StatsServer })
	c := sv.dial()
	for i := range 50 {
		c.set(fmt.Sprint("q", i), "a")
	}
	got := c.ask("stats\r\n")
	if strings.Contains(got, "STAT queue_q") || !strings.Contains(got, "STAT curr_items 50\r\n") ||
		!strings.HasSuffix(got, "END\r\n") || len(got) > 4096-1024 {
		t.Errorf("got %d bytes, want the server's lines in 3 KiB:\n%s", len(got), got)
	}
}

func TestAShortAnswerOfStatsLeavesInOnePiece(t *testing.T) {
	for _, request := range []string{"stats", "stats queue", "stats queue q7", "stats settings"} {
		sv := newServer(t)
		c := sv.dial()
		for i := range 30 {
			c.set(fmt.Sprint("q", i), "a")
		}
		s := NewSession(sv.env, Peer{Local: true}, func() {})
		defer s.Close()
		_, out := s.Process([]byte(request+"\r\n"), nil)
		for s.State() == Working && len(out) == 0 {
			s.Job()()
			_, out = s.Process(nil, nil)
		}
		if !bytes.HasSuffix(out, []byte("END\r\n")) {
			t.Errorf("%q: got %d bytes without the end first, want the whole answer", request, len(out))
		}
	}
}

func TestAMonitorFindsTheProcessorsTimeAsMemcachedWritesIt(t *testing.T) {
	stats := newServer(t).dial().ask("stats\r\n")
	for _, want := range []string{"rusage_user 1.500000", "rusage_system 0.000042"} {
		if !strings.Contains(stats, "STAT "+want+"\r\n") {
			t.Errorf("got %q, want %q in it", stats, want)
		}
	}
}
