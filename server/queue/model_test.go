package queue

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/darner/darner/wal"
)

// The model: each item with the place where it is, and each waiter with what it should have got.

type whereabouts int

const (
	isWaiting whereabouts = iota
	isOpen
	isGone
)

type modelItem struct {
	text    string
	where   whereabouts
	expired bool
}

type modelQueue struct {
	name      string
	reader    string       // "" for a store's own queue
	handle    *Queue       // of a reader, while it is joined
	items     []*modelItem // since the queue was made, in order
	waitQueue []*modelWaiter
	Stats     // as far as the model predicts them
}

type modelWaiter struct {
	w      *Waiter
	queues []int
	done   bool
	from   int        // the queue that claimed
	item   *modelItem // nil: dismissed
}

type modelOpen struct {
	queue int
	it    Item
	item  *modelItem
	life  *modelQueue // a deleted queue's open items end in nothing
}

type model struct {
	r       *Registry
	queues  []*modelQueue
	opens   []modelOpen
	waiters []*modelWaiter
	put     int
}

func (m *model) real(t *rapid.T, i int) *Queue {
	of := m.queues[i]
	if of.handle != nil {
		return of.handle
	}
	q, err := m.r.Queue([]byte(of.name))
	if err == nil && of.reader != "" {
		q, err = q.store.join(of.reader)
		of.handle = q
	}
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// store is which queues get what is put into one of them.
func (m *model) store(i int) (all []int) {
	for j, q := range m.queues {
		if q.name == m.queues[i].name {
			all = append(all, j)
		}
	}
	return all
}

// first is the head of the queue, past what has expired.
func (q *modelQueue) first() *modelItem {
	for _, it := range q.items {
		if it.where != isWaiting {
			continue
		}
		if !it.expired {
			return it
		}
		it.where = isGone
		q.Expired++
	}
	return nil
}

func (m *model) serve(i int) {
	q := m.queues[i]
	for len(q.waitQueue) > 0 {
		w := q.waitQueue[0]
		if !w.done {
			it := q.first()
			if it == nil {
				return
			}
			w.done, w.from, w.item = true, i, it
			if !w.w.Peek {
				it.where = isOpen
			}
		}
		q.waitQueue = q.waitQueue[1:]
	}
}

func (m *model) pick(t *rapid.T) int { return rapid.IntRange(0, len(m.queues)-1).Draw(t, "queue") }

// check compares an item in hand with the one that the model expects.
func (m *model) check(t *rapid.T, q *Queue, it Item, ok bool, want *modelItem) {
	switch {
	case ok != (want != nil):
		t.Fatalf("%s: got an item: %v, want %+v", q.Name(), ok, want)
	case ok:
		got, err := q.Read(it, nil)
		if err != nil || string(got) != want.text {
			t.Fatalf("%s: got %q, %v, want %q", q.Name(), got, err, want.text)
		}
	}
}

func (m *model) Put(t *rapid.T) {
	i := m.pick(t)
	m.put++
	it := modelItem{text: fmt.Sprintf("%s-%d", m.queues[i].name, m.put)}
	var meta wal.Meta
	if it.expired = rapid.IntRange(0, 5).Draw(t, "expired") == 0; it.expired {
		meta.Expires = 1
	}
	if err := m.real(t, i).Put([]byte(it.text), meta); err != nil {
		t.Fatal(err)
	}
	for _, j := range m.store(i) {
		q := m.queues[j]
		each := it
		q.items = append(q.items, &each)
		q.TotalItems++
		m.serve(j)
	}
}

func (m *model) Fetch(t *rapid.T) {
	i := m.pick(t)
	q := m.real(t, i)
	it, ok, err := q.Fetch()
	if err != nil {
		t.Fatal(err)
	}
	want := m.queues[i].first()
	m.check(t, q, it, ok, want)
	if ok {
		want.where = isOpen
		if rapid.Bool().Draw(t, "held") {
			q.Hold(&it)
			m.queues[i].Transactions++
		}
		m.opens = append(m.opens, modelOpen{i, it, want, m.queues[i]})
	}
}

func (m *model) Peek(t *rapid.T) {
	i := m.pick(t)
	q := m.real(t, i)
	it, ok, err := q.Peek()
	if err != nil {
		t.Fatal(err)
	}
	m.check(t, q, it, ok, m.queues[i].first())
}

func (m *model) anyOpen(t *rapid.T) (o modelOpen, alive bool) {
	if len(m.opens) == 0 {
		t.Skip("nothing is open")
	}
	n := rapid.IntRange(0, len(m.opens)-1).Draw(t, "open")
	o = m.opens[n]
	m.opens = slices.Delete(m.opens, n, n+1)
	return o, o.life == m.queues[o.queue]
}

func (m *model) Confirm(t *rapid.T) {
	o, _ := m.anyOpen(t)
	if err := m.real(t, o.queue).Confirm(o.it); err != nil {
		t.Fatal(err)
	}
	o.item.where = isGone
}

func (m *model) Return(t *rapid.T) {
	o, alive := m.anyOpen(t)
	m.real(t, o.queue).Return(o.it)
	m.giveBack(o, alive)
}

func (m *model) giveBack(o modelOpen, alive bool) {
	if !alive {
		return
	}
	q := m.queues[o.queue]
	if o.it.held {
		q.Canceled++
	}
	if o.item.where == isGone { // flushed
		q.DiscardedFlushed++
		return
	}
	o.item.where = isWaiting
	m.serve(o.queue)
}

func (m *model) Flush(t *rapid.T) {
	i := m.pick(t)
	real := m.real(t, i)
	if err := real.Flush(); err != nil {
		t.Fatal(err)
	}
	if real.Exists() {
		m.queues[i].Flushes++
	}
	for _, it := range m.queues[i].items {
		it.where = isGone
	}
}

func (m *model) Delete(t *rapid.T) {
	i := m.pick(t)
	if err := m.real(t, i).Delete(); err != nil {
		t.Fatal(err)
	}
	ended := []int{i}
	if m.queues[i].reader == "" {
		ended = m.store(i)
	}
	for _, j := range ended {
		was := m.queues[j]
		for _, w := range was.waitQueue {
			w.done = true
		}
		m.queues[j] = &modelQueue{name: was.name, reader: was.reader}
	}
	m.join(t)
}

// join has all readers there, so that they get what is put from now on.
func (m *model) join(t *rapid.T) {
	for i, q := range m.queues {
		if q.reader != "" && q.handle == nil {
			m.real(t, i)
			q.TotalItems = m.queues[m.store(i)[0]].TotalItems
		}
	}
}

func (m *model) Wait(t *rapid.T) {
	w := &modelWaiter{w: NewWaiter(func() {})}
	w.w.Peek = rapid.Bool().Draw(t, "peek")
	last := len(m.queues) - 1
	// Of two queues in a store either may claim first.
	name := func(i int) string { return m.queues[i].name }
	w.queues = rapid.SliceOfNDistinct(rapid.IntRange(0, last), 1, last, name).Draw(t, "queues")
	m.waiters = append(m.waiters, w)
	for _, i := range w.queues {
		claimed, err := m.real(t, i).Wait(w.w)
		if err != nil {
			t.Fatal(err)
		}
		m.queues[i].waitQueue = append(m.queues[i].waitQueue, w)
		m.serve(i)
		if claimed != w.done {
			t.Fatalf("got a claim %v, want %v", claimed, w.done)
		}
		if claimed {
			break
		}
	}
}

func (m *model) Stop(t *rapid.T) {
	if len(m.waiters) == 0 {
		t.Skip("nobody waits")
	}
	n := rapid.IntRange(0, len(m.waiters)-1).Draw(t, "waiter")
	w := m.waiters[n]
	m.waiters = slices.Delete(m.waiters, n, n+1)
	q, it, ok := w.w.Stop()
	w.leave(m)
	if ok != (w.item != nil) {
		t.Fatalf("got an item %v, want %+v", ok, w.item)
	}
	if !ok {
		return
	}
	want := m.real(t, w.from) // a reader that was deleted since had another handle
	if q != want && (want.reader == "" || q.Name() != want.Name()) {
		t.Fatalf("got a claim by %s, want %s", q.Name(), want.Name())
	}
	if w.w.Peek || !slices.Contains(m.queues[w.from].items, w.item) {
		return // it may be taken since, or its queue deleted
	}
	if w.item.where == isOpen {
		m.check(t, q, it, ok, w.item)
	}
	m.opens = append(m.opens, modelOpen{w.from, it, w.item, m.queues[w.from]})
}

func (w *modelWaiter) leave(m *model) {
	w.done = true
	for _, q := range m.queues {
		q.waitQueue = slices.DeleteFunc(q.waitQueue, func(x *modelWaiter) bool { return x == w })
	}
}

func (m *model) Park(t *rapid.T) { m.real(t, m.pick(t)).store.park(1 << 60) }

func (m *model) Restart(t *rapid.T) {
	for len(m.waiters) > 0 {
		m.Stop(t)
	}
	if err := m.r.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRegistry(m.r.dir, m.r.o.fresh())
	if err != nil {
		t.Fatal(err)
	}
	m.r = r
	for _, o := range m.opens {
		if o.item.where == isOpen {
			o.item.where = isWaiting
		}
	}
	m.opens = nil
	for _, q := range m.queues {
		q.Stats, q.handle = Stats{TotalItems: q.TotalItems}, nil
	}
	m.join(t)
}

// Check holds every figure and every waiter against the model.
func (m *model) Check(t *rapid.T) {
	for _, w := range m.waiters {
		if w.w.Done() != w.done {
			t.Fatalf("got a waiter that is done: %v, want %v", w.w.Done(), w.done)
		}
	}
	for i, q := range m.queues {
		q.first() // Stats drops what expired at the head
		var s Stats
		for _, it := range q.items {
			if it.where == isWaiting {
				s.Items++
				s.Bytes += int64(len(it.text))
			}
		}
		s.TotalItems, s.Expired = q.TotalItems, q.Expired
		s.Transactions, s.Canceled = q.Transactions, q.Canceled
		s.DiscardedFlushed, s.Flushes = q.DiscardedFlushed, q.Flushes
		got := m.real(t, i).Stats()
		s.Age, s.headSince, s.hasHead = got.Age, got.headSince, got.hasHead
		s.Waiters, s.Open = got.Waiters, got.Open
		s.Segments, s.LogSize = got.Segments, got.LogSize
		s.Created, s.JournalRewrites = got.Created, got.JournalRewrites
		s.pending = got.pending
		if got != s {
			t.Fatalf("%s: got %+v, want %+v", q.name, got, s)
		}
		if open := m.openAt(i); got.Open != open {
			t.Fatalf("%s: got %d open, want %d", q.name, got.Open, open)
		}
	}
}

func (m *model) openAt(i int) (n int) {
	for _, o := range m.opens {
		if o.life == m.queues[i] {
			n++
		}
	}
	for _, w := range m.waiters {
		if w.item != nil && w.from == i && !w.w.Peek && slices.Contains(m.queues[i].items, w.item) {
			n++
		}
	}
	return n
}

func TestQueuesBehaveAsTheModelDoes(t *testing.T) {
	for _, kind := range anyLog {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { behave(t, kind.logs()) })
		})
	}
}

// behave does at random what can be done with four queues, two of them over one store.
func behave(t *rapid.T, logs logs) {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	o := small()
	o.MaxLoaded, o.logs = 1, logs
	r, err := OpenRegistry(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{r: r, queues: []*modelQueue{{name: "a"}, {name: "b"}, {name: "c"}, {name: "a", reader: "audit"}}}
	defer func() { m.r.Close() }()
	m.join(t)
	t.Repeat(map[string]func(*rapid.T){
		"":        m.Check,
		"put":     m.Put,
		"put 2":   m.Put,
		"fetch":   m.Fetch,
		"fetch 2": m.Fetch,
		"peek":    m.Peek,
		"confirm": m.Confirm,
		"return":  m.Return,
		"flush":   m.Flush,
		"delete":  m.Delete,
		"wait":    m.Wait,
		"stop":    m.Stop,
		"park":    m.Park,
		"restart": m.Restart,
	})
}
