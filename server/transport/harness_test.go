package transport

// A transport over real sessions and queues, for tests.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/darner/darner/server/memcache"
	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

// kind is one of the transports there are.
type kind struct {
	name  string
	kind  Kind
	loops int
}

var goroutines = kind{"portable", Portable, 0}

// both runs a test over each transport: they promise the same.
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
	registry *queue.Registry
	env      *memcache.Env
	server   *Server
	clock    *Clock
	kind     Kind
	set      atomic.Int64 // ms by which the time of day was set ahead
	stopping atomic.Int64 // Unix nanoseconds when stop was called; 0: not yet
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
	h := &harness{t: t, clock: NewClock(nil), kind: k.kind}
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	o := wal.Options{SegmentSize: 1 << 20, Logger: log}
	for _, f := range change {
		f(&o)
	}
	var err error
	if h.registry, err = queue.OpenRegistry(t.TempDir(), queue.Options{Log: o}); err != nil {
		t.Fatal(err)
	}
	h.env = &memcache.Env{
		Registry: memcache.Local(h.registry), Counters: new(metrics.Counters), Logger: log,
		MaxItemSize: 1 << 30, InlineMax: wal.DefaultInlineMax, MaxOpenReads: 1,
	}
	h.server = New(Options{
		Session: func(p memcache.Peer, wake func()) *memcache.Session { return memcache.NewSession(h.env, p, wake) },
		Clock:   h.clock, MaxConnections: maxConnections, Counters: h.env.Counters, Logger: log, Loops: k.loops,
	})
	h.env.Now = func() int64 { return h.clock.Now() + h.set.Load() }
	h.env.Steady = h.clock.Steady
	t.Cleanup(func() {
		h.stop(10 * time.Second)
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

// serve has the transport serve one more listener, the one that is dialed from now on.
func (h *harness) serve(l net.Listener) {
	h.t.Helper()
	h.addr = l.Addr().String()
	if err := h.server.Serve(Listener{l, h.kind}); err != nil {
		h.t.Fatal(err)
	}
}

// stop stops the transport and returns how long it took; connections are cut off after limit.
func (h *harness) stop(limit time.Duration) time.Duration {
	began := time.Now()
	if !h.stopping.CompareAndSwap(0, began.UnixNano()) {
		return 0 // the test did
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	h.server.Stop(ctx)
	return time.Since(began)
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
	c.SetDeadline(time.Now().Add(20 * time.Second))
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
	if rest, err := io.ReadAll(p); len(rest) > 0 || errors.Is(err, context.DeadlineExceeded) {
		p.t.Fatalf("got %.100q, %v; want the end", rest, err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// until waits for a figure of a queue.
func (h *harness) until(name, what string, is func(queue.Stats) bool) {
	h.t.Helper()
	q, err := h.registry.Queue([]byte(name))
	if err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, what+" in "+name, func() bool { return is(q.Stats()) })
}

func waiters(n int) func(queue.Stats) bool { return func(s queue.Stats) bool { return s.Waiters == n } }
func items(n int64) func(queue.Stats) bool { return func(s queue.Stats) bool { return s.Items == n } }
