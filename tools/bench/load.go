package bench

// One load on one server: its requests, its connections and its result.

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// answerTimeout is how long a server may take to answer anything at all.
const answerTimeout = 30 * time.Second

// mix says which requests a load consists of.
type mix byte

const (
	pairs mix = iota // each connection sets an item and gets one, in turn
	sets
	gets  // the queue must hold enough items
	drain // gets until the queue is empty
)

func (m mix) kind(turn int64) kind {
	if m == sets || m == pairs && turn%2 == 0 {
		return set
	}
	return get
}

// load is what is put on one server. A closed loop sends a request when an answer has come. An open
// loop sends requests at a fixed rate.
type load struct {
	address  string // HOST:PORT, or the path of a Unix socket
	dialect  dialect
	queue    string
	mix      mix
	items    *items
	conns    int           // connections
	depth    int           // requests in flight on each connection, at most
	duration time.Duration // 0: ends with count
	count    int64         // requests; 0: ends with duration. In pairs, every set still has its get
	rate     float64       // requests/s of an open loop; 0: a closed loop
	loop     func(*meter) loop
}

// result is what a load measured.
type result struct {
	// set and get are latencies in ns, from when a request was sent or, in an open loop, was due.
	set, get *hdrhistogram.Histogram
	elapsed  time.Duration // from the first request to the last answer
}

func newResult() result {
	h := func() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(time.Hour), 3) }
	return result{set: h(), get: h()}
}

// answered returns the number of requests answered.
func (r result) answered() int64 { return r.set.TotalCount() + r.get.TotalCount() }

// rate returns the number of requests answered per second.
func (r result) rate() float64 {
	return float64(r.answered()) / math.Max(r.elapsed.Seconds(), 1e-9)
}

// merge adds what another part of the same load measured.
func (r *result) merge(o result) {
	r.set.Merge(o.set)
	r.get.Merge(o.get)
	r.elapsed += o.elapsed
}

// meter is what the sessions of one loop share.
type meter struct {
	load
	result
	size        int
	known       map[uint64]bool
	setRequests [][]byte
	getRequest  []byte
	nextItem    int
	gap         int64 // ns between the requests of a session; 0: a closed loop
	quota       int64 // requests that may still be sent
	deadline    int64 // ns since the start
	last        int64 // when the last answer came
}

func (m *meter) record(k kind, took int64) {
	h := m.get
	if k == set {
		h = m.set
	}
	h.RecordValue(min(max(took, 0), int64(time.Hour)))
}

// loop drives some of a load's sessions.
type loop interface {
	// connect adds the i-th connection of the load.
	connect(ctx context.Context, i int) error
	// run sends requests and reads answers until everything is answered.
	run(ctx context.Context, began time.Time) error
	// close closes the connections, as hangUp does.
	close()
}

// loops returns how many threads send requests. One is enough for a server on up to four cores.
func loops() int { return max(runtime.GOMAXPROCS(0)/4, 1) }

// run puts the load on the server and waits for its end. A wrong answer ends it: the error quotes
// it.
func (l load) run(ctx context.Context) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := newResult()
	n := min(loops(), l.conns)
	all, meters := make([]loop, n), make([]*meter, n)
	requests := l.requests()
	for i := range all {
		meters[i] = l.meter(requests, i, n)
		all[i] = l.loop(meters[i])
	}
	defer func() {
		for _, lp := range all {
			lp.close()
		}
	}()
	for i := range l.conns {
		if err := all[i%n].connect(ctx, i); err != nil {
			return r, fmt.Errorf("connection %d of %d: %w", i+1, l.conns, err)
		}
	}
	began, ended := time.Now(), make(chan error, n)
	for _, lp := range all {
		go func() { ended <- lp.run(ctx, began) }()
	}
	var failed error // the first one, which says as much as a thousand
	for range all {
		if err := <-ended; err != nil && failed == nil {
			failed = err
			cancel()
		}
	}
	for _, m := range meters {
		r.merge(m.result)
		r.elapsed = max(r.elapsed, time.Duration(m.last))
	}
	return r, failed
}

// requests returns a meter with the bytes of all requests.
func (l load) requests() meter {
	m := meter{load: l, size: l.items.size, known: l.items.known,
		getRequest: l.dialect.get(l.queue)}
	if l.mix != gets && l.mix != drain {
		for _, item := range l.items.all {
			m.setRequests = append(m.setRequests, l.dialect.set(l.queue, item))
		}
	}
	return m
}

// meter returns the meter of loop i of n.
func (l load) meter(m meter, i, n int) *meter {
	m.result = newResult()
	m.quota, m.deadline = math.MaxInt64, math.MaxInt64
	if l.count > 0 {
		m.quota = l.count/int64(n) + min(max(l.count%int64(n)-int64(i), 0), 1)
	}
	if l.duration > 0 {
		m.deadline = int64(l.duration)
	}
	if l.rate > 0 {
		m.gap = max(int64(float64(l.conns)*1e9/l.rate), 1)
	}
	return &m
}

// session returns the session of the load's i-th connection.
func (m *meter) session(i int) *session {
	s := &session{meter: m, dialect: m.load.dialect, inFlight: make([]request, m.depth+1),
		start: make([]byte, 0, 40)}
	s.due = int64(i) * m.gap / int64(m.conns)
	s.hash.SetSeed(m.items.seed)
	return s
}

// dial connects and sends the hello.
func (l load) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: answerTimeout}
	conn, err := d.DialContext(ctx, network(l.address), l.address)
	if err != nil {
		return nil, err
	}
	says, hears := l.dialect.hello(l.queue)
	if says == "" {
		return conn, nil
	}
	conn.SetDeadline(time.Now().Add(answerTimeout))
	heard := make([]byte, len(hears))
	_, err = io.WriteString(conn, says)
	if err == nil {
		var n int
		n, err = io.ReadFull(conn, heard)
		if string(heard[:n]) != hears {
			err = fmt.Errorf("asked %q, got %q", says, heard[:n])
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// hangUp closes connections after the server has closed them too, or after 3 seconds. The server
// has then handled all requests, even if the load ended early, and the queue can be deleted.
func hangUp(conns []net.Conn) {
	deadline := time.Now().Add(3 * time.Second)
	for _, c := range conns {
		c.(interface{ CloseWrite() error }).CloseWrite()
	}
	for _, c := range conns {
		c.SetDeadline(deadline)
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// network returns the network of an address: the path of a Unix socket contains a slash.
func network(address string) string {
	if strings.Contains(address, "/") {
		return "unix"
	}
	return "tcp"
}
