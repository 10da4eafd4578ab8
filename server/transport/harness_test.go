package transport

// A transport over real sessions and queues, for tests.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/server/status"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/clock/clocktest"
)

// hang is how long anything may take before it counts as stuck.
const hang = time.Minute

// kind is a transport to test.
type kind struct {
	name  string
	kind  Kind
	loops int

	still bool // its clock stands still, except for harness.step
}

var goroutines = kind{name: "portable", kind: Portable}

// withStillClock is the same kind, on a clock that the test steps.
func (k kind) withStillClock() kind {
	k.still = true
	return k
}

// both runs a test over each transport: their promises are the same.
func both(t *testing.T, test func(t *testing.T, on kind)) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// harness is a transport over real sessions and queues.
type harness struct {
	t        testing.TB
	dir      string // of the queues
	registry *queue.Registry
	env      *memcache.Env
	server   *Server
	still    *clocktest.Clock // nil: the machine's
	kind     Kind
	stopped  atomic.Bool // it stops, or has
	addr     string
	log      syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (k kind) harness(t testing.TB, maxConnections int, change ...func(*wal.Options)) *harness {
	t.Helper()
	h := &harness{t: t, kind: k.kind, dir: t.TempDir()}
	clk := clock.System
	if k.still {
		h.still = clocktest.New(time.Now())
		clk = h.still
	}
	coarse := NewCoarseClock(clk, nil)
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	o := wal.Options{SegmentSize: 1 << 20, Logger: log}
	for _, f := range change {
		f(&o)
	}
	var err error
	if h.registry, err = queue.OpenRegistry(h.dir, queue.Options{Log: o}); err != nil {
		t.Fatal(err)
	}
	h.env = &memcache.Env{
		Registry: memcache.Local(h.registry), Counters: new(metrics.Counters), Logger: log,
		Now: coarse.Now, Steady: coarse.Steady,
		Status:    status.New(status.Up, status.Options{}),
		InlineMax: wal.DefaultInlineMax,
		Live:      memcache.Live{MaxItemSize: 1 << 30, MaxOpenReads: 1},
		Usage:     func() (user, system time.Duration) { return 0, 0 },
	}
	h.server = New(Options{
		Session: func(p memcache.Peer, wake func()) *memcache.Session {
			return memcache.NewSession(h.env, p, wake)
		},
		Clock: coarse, MaxConnections: maxConnections,
		Descriptors: disk.NewDescriptors(math.MaxInt32),
		Counters:    h.env.Counters, Logger: log,
		Loops: k.loops,
	})
	t.Cleanup(func() {
		h.stop()
		if err := h.registry.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// listen has the transport serve a TCP port.
func (k kind) listen(t testing.TB, maxConnections int, change ...func(*wal.Options)) *harness {
	t.Helper()
	h := k.harness(t, maxConnections, change...)
	l, err := ListenTCP("127.0.0.1", 0, TCPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h.serve(l)
	return h
}

// serve has the transport serve one more listener, which dial connects to from now on.
func (h *harness) serve(l net.Listener) {
	h.t.Helper()
	h.addr = l.Addr().String()
	if err := h.server.Serve(Listener{l, h.kind}); err != nil {
		h.t.Fatal(err)
	}
}

// step has time pass on a clock that stands still otherwise, and has the loops look at it.
func (h *harness) step(d time.Duration) {
	h.still.Step(d)
	h.server.each(ringLoops)
}

// beginStop has the transport stop, and returns a channel that is closed when it has stopped.
func (h *harness) beginStop(ctx context.Context) (stopped chan struct{}) {
	stopped = make(chan struct{})
	if h.stopped.Swap(true) {
		close(stopped)
		return stopped
	}
	go func() {
		defer close(stopped)
		h.server.Stop(ctx)
	}()
	eventually(h.t, "stop", func() bool { return h.server.stopping.Load() != 0 })
	return stopped
}

// awaitStop waits for the end of a stop. It steps a clock that stands still.
func (h *harness) awaitStop(stopped chan struct{}) {
	h.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(hang); time.Now().Before(end); {
		select {
		case <-stopped:
			return
		case <-tick.C:
			if h.still != nil {
				h.step(drainPause)
			}
		}
	}
	h.t.Error("the transport does not stop")
}

// stop stops the transport, which must end by itself.
func (h *harness) stop() {
	h.t.Helper()
	h.awaitStop(h.beginStop(context.Background()))
}

// cutOff stops the transport and cuts off busy connections at once.
func (h *harness) cutOff() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	select {
	case <-h.beginStop(ctx):
	case <-time.After(hang):
		h.t.Error("the transport does not stop")
	}
}

type peer struct {
	*net.TCPConn
	t testing.TB
}

func (h *harness) dial() peer {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(hang))
	return peer{c.(*net.TCPConn), h.t}
}

func (p peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

func (p peer) expect(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p, got); err != nil || string(got) != want {
		p.t.Fatalf("got %.100q, %v; want %.100q", got[:n], err, want)
	}
}

func (p peer) say(request, answer string) {
	p.t.Helper()
	p.send(request)
	p.expect(answer)
}

func (p peer) expectEnd() {
	p.t.Helper()
	if rest, err := io.ReadAll(p); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("got %.100q, %v; want the end", rest, err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(hang); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// until waits for a condition of a queue.
func (h *harness) until(name, what string, is func(queue.Stats) bool) {
	h.t.Helper()
	q, err := h.registry.Queue([]byte(name))
	if err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, what+" in "+name, func() bool { return is(q.Stats()) })
}

func waiters(n int) func(queue.Stats) bool {
	return func(s queue.Stats) bool { return s.Waiters == n }
}

func items(n int64) func(queue.Stats) bool {
	return func(s queue.Stats) bool { return s.Items == n }
}
