package memcache

// A server without sockets: sessions over real queues, driven as a transport would.

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/server/status"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/clock/clocktest"
)

type testServer struct {
	t        testing.TB
	dir      string
	queues   queue.Options
	every    queue.Settings // of every queue
	registry *queue.Registry
	env      *Env
	clock    *clocktest.Clock // a wait passes when it is stepped
	local    bool
	draining bool            // sessions that are dialled
	flushed  []time.Duration // what flush_all asked for with a delay
	reloads  int             // that were asked for
	reload   error           // why it cannot be
	stops    int             // that shutdown asked for
}

func newServer(t testing.TB, change ...func(*testServer)) *testServer {
	t.Helper()
	sv := &testServer{t: t, local: true, clock: clocktest.New(time.Unix(1_796_000_000, 0))}
	sv.env = &Env{
		Counters:  new(metrics.Counters),
		Logger:    slog.New(slog.DiscardHandler),
		Now:       func() int64 { return clock.UnixMilli(sv.clock) },
		Steady:    func() int64 { return clock.Steady(sv.clock).Milliseconds() + 1 },
		InlineMax: wal.DefaultInlineMax,
		Live: Live{
			MaxItemSize: 64 << 20, MaxOpenReads: 1, MaxOpenAhead: 1024,
			Dialect: Dialect{Version: "1.2.3", FlushedAll: "OK", RelativeExptimeMax: 30 * 24 * 3600},
		},
		Version: "1.2.3",
		PID:     42,
		Usage: func() (user, system time.Duration) {
			return 1500 * time.Millisecond, 42 * time.Microsecond
		},
		Settings: func() []Setting {
			return []Setting{{"data", "/var/lib/darner"}, {"max-open-reads", "1"}}
		},
		FlushAfter: func(d time.Duration) { sv.flushed = append(sv.flushed, d) },
		Reload: func() error {
			sv.reloads++
			return sv.reload
		},
		Shutdown: func() { sv.stops++ },
		QueueSettings: func(name string) []Setting {
			return []Setting{{"max-disk", "0"}, {"when-full", "reject"}}
		},
	}
	sv.env.Status = status.New(status.Up, status.Options{Changed: func(to status.State) {
		if !to.Gets() {
			sv.registry.EndWaits()
		}
	}})
	for _, f := range change {
		f(sv)
	}
	sv.dir = t.TempDir()
	sv.open()
	t.Cleanup(func() {
		if err := sv.registry.Close(); err != nil {
			t.Error(err)
		}
	})
	return sv
}

func (sv *testServer) open() {
	sv.t.Helper()
	var err error
	o := sv.queues
	o.Clock = sv.clock
	o.CompactRate, o.ScrubEvery = -1, -1 // what is paced would wait for the clock
	o.Log.InlineMax, o.Log.SegmentSize, o.Log.Logger = sv.env.InlineMax, 1<<20, sv.env.Logger
	o.Settings = func(name string) *queue.Settings {
		if name == sv.every.DeadLetter || name == sv.every.ExpireTo {
			return new(queue.Settings) // else it would pass them on to itself
		}
		return &sv.every
	}
	sv.registry, err = queue.OpenRegistry(sv.dir, o)
	if err != nil {
		sv.t.Fatal(err)
	}
	sv.env.Registry = Local(sv.registry)
}

// hangs is how long a test waits before it says that something hangs.
const hangs = 20 * time.Second

// pass has some ms pass.
func (sv *testServer) pass(ms int64) { sv.clock.Step(time.Duration(max(0, ms)) * time.Millisecond) }

// set sets the time of day.
func (sv *testServer) set(by time.Duration) {
	day, _ := sv.clock.Now()
	sv.clock.SetDay(day.Add(by))
}

// restart closes all queues and opens them again; they are parked then.
func (sv *testServer) restart() {
	sv.t.Helper()
	if err := sv.registry.Close(); err != nil {
		sv.t.Fatal(err)
	}
	sv.open()
}

// openTransactions adds up what is reserved in all queues.
func (sv *testServer) openTransactions() (open int) {
	sv.registry.Each(func(q *queue.Queue) bool {
		open += q.Stats().Open
		return true
	})
	return open
}

func (sv *testServer) items(name string) int64 {
	q, err := sv.registry.Queue([]byte(name))
	if err != nil {
		sv.t.Fatal(err)
	}
	return q.Stats().Items
}

// client is a connection: what is written goes through a session, what it answers can be read.
type client struct {
	sv     *testServer
	s      *Session
	in     []byte
	said   []byte
	woken  chan struct{}
	closed bool
}

func (sv *testServer) dial() *client {
	c := &client{sv: sv, woken: make(chan struct{}, 1)}
	c.s = NewSession(sv.env, Peer{Local: sv.local}, func() {
		select {
		case c.woken <- struct{}{}:
		default:
		}
	})
	if sv.draining {
		c.s.Drain()
	}
	return c
}

// run drives the session until it wants input, a wake or the end.
func (c *client) run() {
	for !c.closed {
		n, out := c.s.Process(c.in, nil)
		c.in = c.in[n:]
		out = send(c.s, out)
		c.said = append(c.said, out...)
		switch c.s.State() {
		case Working:
			c.s.Job()()
		case Waiting:
			if c.s.stopAwaiting == nil || c.waitOver() != nil { // that only takes a moment
				return
			}
		case Closing:
			c.hangup()
		case Ready:
			if c.s.Need() > len(c.in) {
				return
			}
			if n == 0 && len(out) == 0 {
				c.sv.t.Fatalf("got stuck before %.40q with a need of %d, want it consumed", c.in, c.s.Need())
			}
		}
	}
}

// send is a socket that takes all answers, given their text. It returns them whole.
func send(s *Session, text []byte) (all []byte) {
	for _, p := range s.Parts(text, make([]Part, 0, MaxParts)) {
		all = append(all, p.Bytes...)
	}
	s.Took(len(all))
	s.Sent(len(all))
	return all
}

func (c *client) hangup() {
	c.s.Close()
	c.closed = true
}

func (c *client) Write(p []byte) (int, error) {
	n := len(p)
	for !c.closed && len(p) > 0 {
		p = p[c.receive(p):]
		c.run()
	}
	return n, nil
}

// receive takes input as a transport does: straight into memory of the session's if it has some.
func (c *client) receive(p []byte) int {
	if len(c.in) == 0 {
		if room := c.s.Space(); room != nil {
			n := copy(room, p)
			c.s.Received(n, false)
			return n
		}
	}
	c.in = append(c.in, p...)
	return len(p)
}

// Read waits for an answer; a deadline passes at once.
func (c *client) Read(p []byte) (int, error) {
	for len(c.said) == 0 && !c.closed {
		if c.s.State() != Waiting {
			return 0, errors.New("no answer is coming")
		}
		if err := c.waitOver(); err != nil {
			return 0, err
		}
		c.run()
	}
	if len(c.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.said)
	c.said = c.said[n:]
	return n, nil
}

func (c *client) waitOver() error {
	select {
	case <-c.woken:
		return nil
	default:
	}
	if at, ok := c.s.Deadline(); ok {
		c.sv.pass(at - c.sv.env.Steady())
		return nil
	}
	select {
	case <-c.woken:
		return nil
	case <-time.After(hangs):
		return errors.New("got no wake of the session, want one")
	}
}

func (c *client) Close() error {
	if !c.closed {
		c.hangup()
	}
	return nil
}

// ask sends a request and returns everything that is answered at once.
func (c *client) ask(format string, args ...any) string {
	c.Write(fmt.Appendf(nil, format, args...))
	said := string(c.said)
	c.said = nil
	return said
}

// expect asks and compares.
func (c *client) expect(request, want string) {
	c.sv.t.Helper()
	if got := c.ask("%s", request); got != want {
		c.sv.t.Fatalf("%q was answered %q, want %q", request, got, want)
	}
}

func remote(sv *testServer) { sv.local = false }

func admin(a Access) func(*testServer) { return func(sv *testServer) { sv.env.Admin = a } }

func inlineMax(n int) func(*testServer) { return func(sv *testServer) { sv.env.InlineMax = n } }

func (c *client) set(name string, payloads ...string) {
	c.sv.t.Helper()
	for _, p := range payloads {
		c.expect(fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", name, len(p), p), "STORED\r\n")
	}
}

func value(name, payload string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", name, len(payload), payload)
}
