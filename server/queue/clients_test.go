package queue

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/darner/darner/wal"
)

var long = flag.Duration("long", time.Second, "how long the clients of TestClientsThatComeAndGo go on")

// ledger is where each item is as its holders see it, by sequence number.
type ledger struct {
	q     *Queue
	items sync.Map // uint64 → *entry
	puts  atomic.Int64
	gone  atomic.Int64
}

type entry struct {
	where    atomic.Int32 // the whereabouts
	returned atomic.Bool  // at least once
}

func (l *ledger) entry(it Item) *entry {
	e, _ := l.items.LoadOrStore(it.Seq, new(entry))
	return e.(*entry)
}

// client opens, confirms, returns, waits and hangs up at random.
type client struct {
	t       *testing.T
	rnd     *rand.Rand
	ledgers []*ledger
	held    []holding
	last    map[*Queue]uint64 // the item it got last
	waiter  *Waiter
	woken   chan bool
}

type holding struct {
	l  *ledger
	it Item
}

func (c *client) any() *ledger { return c.ledgers[c.rnd.IntN(len(c.ledgers))] }

// got checks an item that was handed to the client: nobody else has it, and it is in order.
func (c *client) got(l *ledger, it Item) {
	e := l.entry(it)
	if !e.where.CompareAndSwap(int32(isWaiting), int32(isOpen)) {
		c.t.Errorf("%s: got item %d in state %d, want it waiting", l.q.Name(), it.Seq, e.where.Load())
	}
	if it.Seq < c.last[l.q] && !e.returned.Load() {
		c.t.Errorf("%s: got item %d, never returned, after %d, want order", l.q.Name(), it.Seq, c.last[l.q])
	}
	c.last[l.q] = it.Seq
	if _, err := l.q.Read(it, nil); err != nil {
		c.t.Error(err)
	}
	c.held = append(c.held, holding{l, it})
}

func (c *client) put() {
	l := c.any()
	if err := l.q.Put(fmt.Appendf(nil, "%d", c.rnd.Int()), wal.Meta{}); err != nil {
		c.t.Error(err)
	}
	l.puts.Add(1)
}

func (c *client) fetch() {
	l := c.any()
	it, ok, err := l.q.Fetch()
	if err != nil {
		c.t.Error(err)
	}
	if ok {
		c.got(l, it)
	}
}

func (c *client) peek() {
	l := c.any()
	if it, ok, err := l.q.Peek(); err != nil {
		c.t.Error(err)
	} else if ok {
		l.q.Return(it)
	}
}

func (c *client) pop() (h holding, ok bool) {
	if len(c.held) == 0 {
		return h, false
	}
	i := c.rnd.IntN(len(c.held))
	h = c.held[i]
	c.held[i] = c.held[len(c.held)-1]
	c.held = c.held[:len(c.held)-1]
	return h, true
}

func (c *client) confirm() {
	h, ok := c.pop()
	if !ok {
		return
	}
	if !h.l.entry(h.it).where.CompareAndSwap(int32(isOpen), int32(isGone)) {
		c.t.Errorf("got item %d taken away from its client, want it open", h.it.Seq)
	}
	if err := h.l.q.Confirm(h.it); err != nil {
		c.t.Error(err)
	}
	h.l.gone.Add(1)
}

func (c *client) abort() {
	h, ok := c.pop()
	if !ok {
		return
	}
	e := h.l.entry(h.it)
	e.returned.Store(true)
	if !e.where.CompareAndSwap(int32(isOpen), int32(isWaiting)) {
		c.t.Errorf("got item %d taken away from its client, want it open", h.it.Seq)
	}
	h.l.q.Return(h.it)
}

// wait waits in one or several queues, for a moment; now and then it hangs up with what it got.
func (c *client) wait() {
	c.waiter.Peek = c.rnd.IntN(4) == 0
	first := c.rnd.IntN(len(c.ledgers))
	for i := range 1 + c.rnd.IntN(len(c.ledgers)) {
		claimed, err := c.ledgers[(first+i)%len(c.ledgers)].q.Wait(c.waiter)
		if err != nil {
			c.t.Error(err)
		}
		if claimed {
			break
		}
	}
	if c.rnd.IntN(4) > 0 && !c.waiter.Done() {
		select {
		case <-c.woken: // perhaps by the wait before
		case <-time.After(time.Duration(c.rnd.IntN(3000)) * time.Microsecond):
		}
	}
	q, it, ok := c.waiter.Stop()
	if !ok || c.waiter.Peek {
		return
	}
	for _, l := range c.ledgers {
		if l.q == q {
			c.got(l, it)
		}
	}
	if c.rnd.IntN(3) == 0 {
		c.disconnect()
	}
}

func (c *client) disconnect() {
	for len(c.held) > 0 {
		c.abort()
	}
}

func (c *client) run(until func() bool) {
	steps := []func(){
		c.put, c.put, c.fetch, c.confirm, c.confirm, c.abort, c.peek, c.wait, c.disconnect,
	}
	for !until() {
		steps[c.rnd.IntN(len(steps))]()
	}
	c.disconnect()
}

// Clients that open, confirm, abort, wait, time out and hang up at random: each item is in one
// place at a time, comes in order, and none is lost.
func TestClientsThatComeAndGo(t *testing.T) {
	t.Parallel()
	t.Run("a hundred at few queues", func(t *testing.T) { comeAndGo(t, 100, 4, 1) })
	t.Run("a few at many queues that are parked under them", func(t *testing.T) { comeAndGo(t, 3, 30, 40) })
}

// comeAndGo goes on until that many loads have been seen, on a slow machine too.
func comeAndGo(t *testing.T, clients, queues int, loads uint64) {
	o := small()
	o.MaxLoaded = 5
	r := open(t, t.TempDir(), o)
	var ledgers []*ledger
	for i := range queues {
		ledgers = append(ledgers, &ledger{q: named(t, r, fmt.Sprint("q", i))})
	}
	during := *long / 2
	if testing.Short() {
		during = 200 * time.Millisecond
	}
	const tooLong = time.Minute
	began := time.Now()
	until := func() bool {
		took := time.Since(began)
		return took > tooLong || took > during && r.tick.Load() >= loads
	}
	var all sync.WaitGroup
	for i := range clients {
		c := newClient(t, uint64(i), ledgers)
		all.Go(func() { c.run(until) })
	}
	all.Wait()
	if n := r.tick.Load(); n < loads {
		t.Errorf("got %d loads, want %d", n, loads)
	}
	for _, l := range ledgers {
		l.checkBalance(t)
	}
}

func newClient(t *testing.T, seed uint64, ledgers []*ledger) *client {
	woken := make(chan bool, 1)
	return &client{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), ledgers: ledgers,
		last: make(map[*Queue]uint64), woken: woken,
		waiter: NewWaiter(func() {
			select {
			case woken <- true:
			default:
			}
		}),
	}
}

// checkBalance takes what is left and compares what went in with what came out.
func (l *ledger) checkBalance(t *testing.T) {
	c := newClient(t, 0, []*ledger{l})
	var before uint64
	for c.fetch(); len(c.held) > 0; c.fetch() {
		seq := c.held[0].it.Seq
		if seq <= before {
			t.Errorf("got item %d after %d, want order", seq, before)
		}
		before = seq
		c.confirm()
	}
	if l.puts.Load() != l.gone.Load() {
		t.Errorf("%s: got %d items delivered, want %d", l.q.Name(), l.gone.Load(), l.puts.Load())
	}
	s := l.q.Stats()
	if s.Items != 0 || s.Bytes != 0 || s.Open != 0 || s.Waiters != 0 ||
		int64(s.TotalItems) != l.puts.Load() {
		t.Errorf("got %+v, want an empty queue of %d items in all", s, l.puts.Load())
	}
}
