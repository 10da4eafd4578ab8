package queue

// The model of what settings ask for: limits, expiry, delays, retries, dead letters. Its clock is
// stepped. The sweeper and the undertaker are at rest: the model has them come, so it knows what
// has expired and is still there. model_test.go has a model without settings.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// state is where an item is.
type state int

const (
	waits   state = iota
	isLater       // it waits for its time
	inHand        // it is open
	passed        // it has expired, and moves when the sweeper comes
	isDead        // it was delivered too often, and moves when the undertaker comes
	ended
)

type ruledItem struct {
	text       string
	put        int64 // Unix ms
	expires    int64 // Unix ms; 0: never
	due        int64 // Unix ms; 0: at once
	visible    int64 // Unix ms, while it is later
	retried    bool  // it is later because it came back
	deliveries int
	from       string // the queue that it moved from
	state      state
}

type ruledQueue struct {
	name, reader string
	handle       *Queue // of a reader
	items        []*ruledItem
	dead         []*ruledItem
	waiters      []*ruledWaiter
	blurred      int64 // Unix ms until which the log need not find again what stayed
	stuckUntil   int64 // Unix ms: no new item makes expired ones move before
	deadStay     bool  // the other queue did not take one of dead
	Stats
}

type ruledWaiter struct {
	w    *Waiter
	done bool
	life *ruledQueue
	item *ruledItem // nil: dismissed
	from int
}

type ruledOpen struct {
	queue int
	life  *ruledQueue
	it    Item
	item  *ruledItem
	timed int64 // Unix ms since when it is held; 0: it has no end
}

type ruledModel struct {
	r       *Registry
	clock   *clocktest.Clock
	now     int64 // Unix ms
	sets    map[string]*Settings
	queues  []*ruledQueue
	opens   []*ruledOpen
	waiters []*ruledWaiter
	puts    int
}

// ruledNames are the stores. Items move only to those that come later.
var ruledNames = []string{"a", "b", "c"}

// drawSettings draws those of a queue. Whether deliveries count does not change.
func drawSettings(t *rapid.T, name string) *Settings {
	either := func(what string, of ...int) int { return rapid.SampledFrom(of).Draw(t, name+" "+what) }
	s := &Settings{
		MaxItems:   int64(either("items", 0, 0, 3, 6)),
		MaxBytes:   int64(either("bytes", 0, 0, 20, 60)),
		Discard:    either("discard", 0, 1) == 1,
		MaxAge:     time.Duration(either("age", 0, 0, 1500, 5000)) * time.Millisecond,
		Delay:      time.Duration(either("delay", 0, 0, 0, 700)) * time.Millisecond,
		MaxDelayed: either("delayed", 0, 2, 5),
	}
	if name != "c" {
		s.OpenTimeout = time.Duration(either("timeout", 0, 1000, 3000)) * time.Millisecond
		s.MaxDeliveries = either("deliveries", 1, 2, 3)
		s.RetryDelay = time.Duration(either("retry", 0, 0, 300)) * time.Millisecond
		s.RetryDelayMax = time.Duration(either("retry max", 0, 1000)) * time.Millisecond
		targets := rapid.SampledFrom([]string{"", "c", map[string]string{"a": "b"}[name]})
		s.ExpireTo = targets.Draw(t, name+" to")
		s.DeadLetter = targets.Draw(t, name+" dead")
	}
	return s
}

func (m *ruledModel) of(name string) *Settings {
	if s := m.sets[name]; s != nil {
		return s
	}
	return noSettings
}

func (m *ruledModel) real(t *rapid.T, i int) *Queue {
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

// own is the index of the queue of that name that items are put into.
func (m *ruledModel) own(name string) int {
	return slices.IndexFunc(m.queues, func(q *ruledQueue) bool {
		return q.name == name && q.reader == ""
	})
}

func (m *ruledModel) hasExpired(q *ruledQueue, it *ruledItem) bool {
	age := m.of(q.name).MaxAge.Milliseconds()
	return it.expires != 0 && it.expires <= m.now || age > 0 && it.put+age <= m.now
}

// expire ends an item that has expired.
func (m *ruledModel) expire(q *ruledQueue, it *ruledItem) {
	if m.of(q.name).ExpireTo != "" {
		it.state = passed
		return
	}
	it.state = ended
	q.Expired++
}

func (m *ruledModel) isSpent(q *ruledQueue, it *ruledItem) bool {
	most := m.of(q.name).MaxDeliveries
	return most > 0 && it.deliveries >= most
}

// bury ends an item that was delivered too often.
func (m *ruledModel) bury(q *ruledQueue, it *ruledItem) {
	if m.of(q.name).DeadLetter == "" {
		it.state = ended
		q.DeadLetters++
		return
	}
	it.state = isDead
	q.dead = append(q.dead, it)
}

// ripen makes visible what is due.
func (m *ruledModel) ripen(q *ruledQueue) {
	for _, it := range q.items {
		if it.state == isLater && it.visible <= m.now {
			it.state, it.retried = waits, false
		}
	}
}

// first is the head, past what has expired or was delivered too often.
func (m *ruledModel) first(q *ruledQueue) *ruledItem {
	m.ripen(q)
	for _, it := range q.items {
		switch {
		case it.state != waits:
		case m.hasExpired(q, it):
			m.expire(q, it)
		case m.isSpent(q, it):
			m.bury(q, it)
		default:
			return it
		}
	}
	return nil
}

func (m *ruledModel) serve(i int) {
	q := m.queues[i]
	for len(q.waiters) > 0 {
		it := m.first(q)
		if it == nil {
			return
		}
		w := q.waiters[0]
		w.done, w.item = true, it
		if !w.w.Peek {
			it.state = inHand
		}
		q.waiters = q.waiters[1:]
	}
}

func (q *ruledQueue) count(of ...state) (all sum) {
	for _, it := range q.items {
		if slices.Contains(of, it.state) {
			all.items++
			all.bytes += int64(len(it.text))
		}
	}
	return all
}

// fits reports whether the queue of a store has room.
func (m *ruledModel) fits(q *ruledQueue, size int64) bool {
	set, has := m.of(q.name), q.count(waits, isLater, inHand, passed, isDead)
	return (set.MaxItems == 0 || has.items < set.MaxItems) &&
		(set.MaxBytes == 0 || has.bytes+size <= set.MaxBytes)
}

// admit makes room for an item, and reports whether there is.
func (m *ruledModel) admit(q *ruledQueue, size int64, delayed bool) bool {
	set := m.of(q.name)
	if delayed && q.count(isLater).items >= set.maxDelayed() {
		return false
	}
	for !m.fits(q, size) {
		it := m.first(q)
		switch {
		case m.fits(q, size):
			return true
		case set.MaxBytes > 0 && size > set.MaxBytes:
			return false
		case m.mayClearAway(q):
			if !m.clearAway(q) {
				return false
			}
		case !set.Discard || it == nil:
			return false
		default:
			it.state = ended
			q.DiscardedFull++
		}
	}
	return true
}

func (m *ruledModel) mayClearAway(q *ruledQueue) bool {
	has := q.count(passed).items > 0
	return has && q.stuckUntil <= m.now ||
		m.of(q.name).Discard && (has || q.deadStay && len(q.dead) > 0)
}

// clearAway has items go that are to move to another queue. It is false if none did.
func (m *ruledModel) clearAway(q *ruledQueue) bool {
	if q.count(passed).items > 0 && q.stuckUntil <= m.now && m.sweep(q) > 0 {
		return true
	}
	if !m.of(q.name).Discard {
		return false
	}
	if q.deadStay && len(q.dead) > 0 {
		q.dead[0].state = ended
		q.dead = q.dead[1:]
		q.DiscardedFull++
		return true
	}
	for _, it := range q.items {
		if it.state != ended && it.state != inHand && it.state != isDead && m.hasExpired(q, it) {
			it.state = ended
			q.DiscardedFull++
			return true
		}
	}
	return false
}

// store puts an item into all queues of a store. It is false if the store has no room.
func (m *ruledModel) store(name string, it ruledItem) bool {
	if delay := m.of(name).Delay.Milliseconds(); it.due == 0 && delay > 0 {
		it.due = it.put + delay
	}
	if !m.admit(m.queues[m.own(name)], int64(len(it.text)), it.due != 0) {
		return false
	}
	for _, q := range m.queues {
		if q.name != name {
			continue
		}
		each := it
		if it.due != 0 {
			each.state, each.visible = isLater, it.due
		}
		q.items = append(q.items, &each)
		q.TotalItems++
	}
	for i := range m.queues {
		m.serve(i)
	}
	return true
}

func (m *ruledModel) pick(t *rapid.T) int { return rapid.IntRange(0, len(m.queues)-1).Draw(t, "queue") }

func (m *ruledModel) Put(t *rapid.T) {
	i := m.pick(t)
	m.puts++
	it := ruledItem{text: fmt.Sprintf("%s%d", m.queues[i].name, m.puts), put: m.now}
	if rapid.IntRange(0, 2).Draw(t, "expires") == 0 {
		it.expires = m.now + int64(rapid.IntRange(0, 3000).Draw(t, "lifetime"))
	}
	if rapid.IntRange(0, 2).Draw(t, "delays") == 0 {
		it.due = m.now + int64(rapid.IntRange(1, 3000).Draw(t, "delay"))
	}
	q := m.real(t, i)
	meta := wal.Meta{Enqueued: it.put, Expires: it.expires}
	meta.SetDue(it.due)
	m.unblur(t)
	err := q.Put([]byte(it.text), meta)
	for errors.Is(err, ErrDiscardOldest) {
		if err = q.DiscardOldest(err); err == nil {
			err = q.Put([]byte(it.text), meta)
		}
	}
	if err != nil && !errors.Is(err, ErrLimit) {
		t.Fatal(err)
	}
	if stored := m.store(m.queues[i].name, it); stored != (err == nil) {
		t.Fatalf("%s: got %v for a put, want %v", q.Name(), err, stored)
	}
}

// check compares an item in hand with the one that the model expects.
func (m *ruledModel) check(t *rapid.T, q *Queue, it Item, ok bool, want *ruledItem) {
	switch {
	case ok != (want != nil):
		t.Fatalf("%s: got an item: %v, want %+v", q.Name(), ok, want)
	case !ok:
		return
	}
	got, err := q.Read(it, nil)
	if err != nil || string(got) != want.text {
		t.Fatalf("%s: got %q, %v, want %+v", q.Name(), got, err, want)
	}
	from, err := q.Origin(it)
	if err != nil || (from != nil) != (want.from != "") || from != nil && from.Log != want.from {
		t.Fatalf("%s: got %q from %+v, %v, want %q", q.Name(), got, from, err, want.from)
	}
}

func (m *ruledModel) Fetch(t *rapid.T) {
	i := m.pick(t)
	q := m.real(t, i)
	it, ok, err := q.Fetch()
	if err != nil {
		t.Fatal(err)
	}
	want := m.first(m.queues[i])
	m.check(t, q, it, ok, want)
	if !ok {
		return
	}
	want.state = inHand
	m.opens = append(m.opens, &ruledOpen{queue: i, life: m.queues[i], it: it, item: want})
	if rapid.Bool().Draw(t, "held") {
		m.hold(t, m.opens[len(m.opens)-1])
	}
}

func (m *ruledModel) hold(t *rapid.T, o *ruledOpen) {
	m.real(t, o.queue).Hold(&o.it)
	o.life.Transactions++
	if m.of(o.life.name).OpenTimeout > 0 && o.life == m.queues[o.queue] {
		o.timed = m.now
	}
}

func (m *ruledModel) Peek(t *rapid.T) {
	i := m.pick(t)
	q := m.real(t, i)
	it, ok, err := q.Peek()
	if err != nil {
		t.Fatal(err)
	}
	m.check(t, q, it, ok, m.first(m.queues[i]))
}

func (m *ruledModel) anyOpen(t *rapid.T) *ruledOpen {
	if len(m.opens) == 0 {
		t.Skip("nothing is open")
	}
	n := rapid.IntRange(0, len(m.opens)-1).Draw(t, "open")
	o := m.opens[n]
	m.opens = slices.Delete(m.opens, n, n+1)
	return o
}

func (m *ruledModel) Confirm(t *rapid.T) {
	o := m.anyOpen(t)
	if err := m.real(t, o.queue).Confirm(o.it); err != nil {
		t.Fatal(err)
	}
	o.item.state = ended
}

func (m *ruledModel) Return(t *rapid.T) {
	o := m.anyOpen(t)
	if err := m.real(t, o.queue).Return(o.it); err != nil {
		t.Fatal(err)
	}
	m.comeBack(o)
	if o.life == m.queues[o.queue] {
		m.serve(o.queue)
	}
}

// comeBack has an item come back that was open.
func (m *ruledModel) comeBack(o *ruledOpen) {
	q, it, set := o.life, o.item, m.of(o.life.name)
	if q != m.queues[o.queue] {
		return
	}
	if o.it.held {
		q.Canceled++
	}
	if it.state == ended { // flushed
		q.DiscardedFlushed++
		return
	}
	it.deliveries++
	switch {
	case m.hasExpired(q, it):
		m.expire(q, it)
	case m.isSpent(q, it):
		m.bury(q, it)
	case set.RetryDelay > 0 && q.count(isLater).items < set.maxDelayed():
		wait := set.RetryDelay
		for n := 1; n < it.deliveries && wait < set.RetryDelayMax; n++ {
			wait = min(2*wait, set.RetryDelayMax)
		}
		it.state, it.retried, it.visible = isLater, true, m.now+wait.Milliseconds()
	default:
		it.state = waits
	}
}

func (m *ruledModel) Flush(t *rapid.T) {
	i := m.pick(t)
	real, q := m.real(t, i), m.queues[i]
	if err := real.Flush(); err != nil {
		t.Fatal(err)
	}
	if real.Exists() {
		q.Flushes++
	}
	q.dead = nil
	for _, it := range q.items {
		it.state = ended
	}
}

func (m *ruledModel) Delete(t *rapid.T) {
	i := m.pick(t)
	was := m.queues[i]
	if err := m.real(t, i).Delete(); err != nil {
		t.Fatal(err)
	}
	for j, q := range m.queues {
		if j != i && (was.reader != "" || q.name != was.name) {
			continue
		}
		for _, w := range q.waiters {
			w.done = true
		}
		m.queues[j] = &ruledQueue{name: q.name, reader: q.reader}
	}
	m.join(t)
}

// join has all readers there, so that they get what is put from now on.
func (m *ruledModel) join(t *rapid.T) {
	for i, q := range m.queues {
		if q.reader != "" && q.handle == nil {
			m.real(t, i)
			q.TotalItems = m.queues[m.own(q.name)].TotalItems
		}
	}
}

func (m *ruledModel) Wait(t *rapid.T) {
	i := m.pick(t)
	w := &ruledWaiter{w: NewWaiter(func() {}), life: m.queues[i], from: i}
	w.w.Peek = rapid.Bool().Draw(t, "peek")
	claimed, err := m.real(t, i).Wait(w.w)
	if err != nil {
		t.Fatal(err)
	}
	m.waiters = append(m.waiters, w)
	m.queues[i].waiters = append(m.queues[i].waiters, w)
	m.serve(i)
	if claimed != w.done {
		t.Fatalf("got a claim %v, want %v", claimed, w.done)
	}
}

func (m *ruledModel) Stop(t *rapid.T) {
	if len(m.waiters) == 0 {
		t.Skip("nobody waits")
	}
	n := rapid.IntRange(0, len(m.waiters)-1).Draw(t, "waiter")
	w := m.waiters[n]
	m.waiters = slices.Delete(m.waiters, n, n+1)
	q, it, ok := w.w.Stop()
	w.done = true
	w.life.waiters = slices.DeleteFunc(w.life.waiters, func(x *ruledWaiter) bool { return x == w })
	if ok != (w.item != nil) {
		t.Fatalf("got an item %v, want %+v", ok, w.item)
	}
	if !ok || w.w.Peek || w.life != m.queues[w.from] {
		return // it may be taken since, or its queue deleted
	}
	if w.item.state == inHand {
		m.check(t, q, it, ok, w.item)
	}
	m.opens = append(m.opens, &ruledOpen{queue: w.from, life: w.life, it: it, item: w.item})
}

func (m *ruledModel) Reconfigure(t *rapid.T) {
	name := rapid.SampledFrom(ruledNames).Draw(t, "name")
	sets := make(map[string]*Settings)
	for n, s := range m.sets {
		sets[n] = s
	}
	sets[name] = drawSettings(t, name)
	m.sets = sets
	m.r.Reconfigure(m.of)
}

// Pass lets time pass, from one thing that happens to the next.
func (m *ruledModel) Pass(t *rapid.T) {
	until := m.now + int64(rapid.SampledFrom([]int{1, 100, 700, 1500, 4000, 15_000}).Draw(t, "ms"))
	for m.now < until {
		next := until
		for _, q := range m.queues {
			for _, it := range q.items {
				if it.state == isLater {
					next = min(next, it.visible)
				}
			}
		}
		for _, o := range m.opens {
			if at, ok := m.endOf(o); ok {
				next = min(next, at)
			}
		}
		next = max(next, m.now)
		m.clock.Step(time.Duration(next-m.now) * time.Millisecond)
		m.now = next
		m.keepAgendas()
		m.Check(t)
	}
}

// endOf is when an open read ends by itself.
func (m *ruledModel) endOf(o *ruledOpen) (at int64, ok bool) {
	timeout := m.of(o.life.name).OpenTimeout.Milliseconds()
	return o.timed + timeout, o.timed != 0 && timeout > 0 && o.life == m.queues[o.queue]
}

// keepAgendas ends what is open for too long, and serves who waits for what is due.
func (m *ruledModel) keepAgendas() {
	for i, q := range m.queues {
		m.ripen(q)
		m.opens = slices.DeleteFunc(m.opens, func(o *ruledOpen) bool {
			at, ok := m.endOf(o)
			if !ok || o.queue != i || at > m.now {
				return false
			}
			m.comeBack(o)
			q.TimedOut++
			return true
		})
		m.serve(i)
	}
}

// Sweep has the sweeper come for the expired items of a queue.
func (m *ruledModel) Sweep(t *rapid.T) {
	i := m.pick(t)
	real, q := m.real(t, i), m.queues[i]
	if !real.Exists() {
		return
	}
	m.unblur(t)
	got, err := real.FlushExpired()
	if err != nil {
		t.Fatal(err)
	}
	if want := m.sweep(q); got != want {
		t.Fatalf("%s: got %d items swept, want %d", real.Name(), got, want)
	}
}

// unblur has the log find again what stayed.
func (m *ruledModel) unblur(t *rapid.T) {
	for i, q := range m.queues {
		c := m.real(t, i).cursor
		for seq := 0; m.now <= q.blurred && seq < len(q.items); seq++ {
			c.Revisit(Position{Seq: uint64(seq + 1)})
		}
	}
}

// sweep drops or moves what has expired, and returns how many items that were.
func (m *ruledModel) sweep(q *ruledQueue) (gone int) {
	var move []*ruledItem
	to := m.of(q.name).ExpireTo
	for _, it := range q.items {
		switch {
		case it.state == ended || !m.hasExpired(q, it):
		case it.state == inHand || it.state == isDead:
			q.blurred = m.now + revisitAfter
		case to == "":
			it.state = ended
			q.Expired++
			gone++
		default:
			move = append(move, it)
		}
	}
	n := m.move(q, move, to)
	q.Expired += uint64(n)
	if n > 0 {
		q.stuckUntil = 0
	}
	for _, it := range move[n:] {
		q.blurred, q.stuckUntil = m.now+revisitAfter, m.now+unstick.Milliseconds()
		switch seq := uint64(slices.Index(q.items, it) + 1); {
		case seq < m.cursor(q).Seq():
			it.state = passed
		case it.state == isLater:
			it.state = waits
		}
	}
	return gone + n
}

// cursor is the real one of a queue.
func (m *ruledModel) cursor(q *ruledQueue) cursor {
	if q.handle != nil {
		return q.handle.cursor
	}
	real, _ := m.r.Queue([]byte(q.name))
	return real.cursor
}

// revisitAfter is after how many ms a sweeper comes again to what stayed.
const revisitAfter = 10_000

// move moves items to another queue, until that takes no more, and returns how many.
func (m *ruledModel) move(q *ruledQueue, items []*ruledItem, to string) (n int) {
	name := q.name
	if q.reader != "" {
		name += "+" + q.reader
	}
	for n < len(items) && m.store(to, ruledItem{text: items[n].text, put: m.now, from: name}) {
		items[n].state = ended
		n++
	}
	return n
}

// Bury has the undertaker come for the dead items of a queue.
func (m *ruledModel) Bury(t *rapid.T) {
	i := m.pick(t)
	q := m.queues[i]
	m.unblur(t)
	m.real(t, i).moveDead(context.Background())
	to := m.of(q.name).DeadLetter
	if to == "" {
		for _, it := range q.dead {
			it.state = waits
		}
		q.dead = nil
		m.serve(i)
		return
	}
	if len(q.dead) == 0 {
		return
	}
	n := m.move(q, q.dead, to)
	q.deadStay = n < len(q.dead)
	q.DeadLetters += uint64(n)
	q.dead = q.dead[n:]
	for _, it := range q.dead {
		it.state = isDead
	}
}

// reload is what becomes of a queue whose log is closed and opened again.
func (m *ruledModel) reload(q *ruledQueue) {
	q.dead, q.blurred, q.stuckUntil, q.deadStay = nil, 0, 0, false
	for _, it := range q.items {
		switch {
		case it.state == ended:
		case it.due > m.now:
			it.state, it.visible, it.retried = isLater, it.due, false
		default:
			it.state, it.retried = waits, false
		}
	}
}

func (m *ruledModel) Park(t *rapid.T) {
	i := m.pick(t)
	real := m.real(t, i)
	parked := real.store.park(1 << 60)
	for _, q := range m.queues {
		if !parked || q.name != m.queues[i].name {
			continue
		}
		m.first(q)
		if slices.ContainsFunc(q.items, func(it *ruledItem) bool {
			return it.state == isLater && it.retried
		}) {
			t.Fatalf("%s: got it parked, want what came back to wait", q.name)
		}
		m.reload(q)
	}
	if err := real.Load(); err != nil {
		t.Fatal(err)
	}
}

func (m *ruledModel) Restart(t *rapid.T) {
	for len(m.waiters) > 0 {
		m.Stop(t)
	}
	if err := m.r.Close(); err != nil {
		t.Fatal(err)
	}
	o := m.r.o.fresh()
	m.open(t, m.r.dir, o)
	m.opens = nil
	for i, q := range m.queues {
		q.Stats, q.handle = Stats{TotalItems: q.TotalItems}, nil
		m.reload(q)
		if err := m.real(t, i).Load(); err != nil {
			t.Fatal(err)
		}
	}
	m.real(t, m.own("a")).store.park(1 << 60) // who joins a log that is open finds nothing delayed
	if err := m.real(t, m.own("a")).Load(); err != nil {
		t.Fatal(err)
	}
}

// open opens the registry, and has its goroutines rest.
func (m *ruledModel) open(t *rapid.T, dir string, o Options) {
	r, err := OpenRegistry(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	r.walker.stop()
	r.sweeper.stop()
	r.undertaker.stop()
	r.janitor.stop()
	m.r = r
}

// Check holds every figure and every waiter against the model.
func (m *ruledModel) Check(t *rapid.T) {
	for _, w := range m.waiters {
		if w.w.Done() != w.done {
			t.Fatalf("got a waiter that is done: %v, want %v", w.w.Done(), w.done)
		}
	}
	for i, q := range m.queues {
		real := m.real(t, i)
		got := real.Stats()
		m.first(q) // Stats drops what is to go at the head
		var want Stats
		waiting := q.count(waits)
		want.Items, want.Bytes = waiting.items, waiting.bytes
		want.Delayed, want.Moving = q.count(isLater).items, q.count(passed, isDead).items
		want.TotalItems, want.Expired, want.DeadLetters = q.TotalItems, q.Expired, q.DeadLetters
		want.TimedOut, want.Transactions, want.Canceled = q.TimedOut, q.Transactions, q.Canceled
		want.DiscardedFlushed, want.DiscardedFull = q.DiscardedFlushed, q.DiscardedFull
		want.Flushes = q.Flushes
		want.Waiters, want.Open = len(q.waiters), m.openAt(i)
		want.Age, want.headSince, want.hasHead = got.Age, got.headSince, got.hasHead
		want.Segments, want.LogSize = got.Segments, got.LogSize
		want.DelayedMemory, want.Refused = got.DelayedMemory, got.Refused
		want.pending = got.pending
		want.Created, want.JournalRewrites = got.Created, got.JournalRewrites
		if got != want {
			t.Fatalf("%s:\n got %+v\nwant %+v\nwith %+v",
				real.Name(), got, want, *m.of(q.name))
		}
	}
}

func (m *ruledModel) openAt(i int) (n int) {
	for _, o := range m.opens {
		if o.life == m.queues[i] {
			n++
		}
	}
	for _, w := range m.waiters {
		if w.item != nil && !w.w.Peek && w.life == m.queues[i] {
			n++
		}
	}
	return n
}

func TestQueuesKeepTheirRulesAsTheModelDoes(t *testing.T) {
	for _, kind := range anyLog {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { keepRules(t, kind.logs()) })
		})
	}
}

// keepRules does at random what can be done with four queues, two of them over one store.
func keepRules(t *rapid.T, logs logs) {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	m := &ruledModel{
		clock: clocktest.New(time.UnixMilli(today)), now: today, sets: make(map[string]*Settings),
		queues: []*ruledQueue{{name: "a"}, {name: "b"}, {name: "c"}, {name: "a", reader: "audit"}},
	}
	for _, name := range ruledNames {
		m.sets[name] = drawSettings(t, name)
	}
	o := small()
	o.Clock, o.logs, o.Settings = m.clock, logs, m.of
	m.open(t, dir, o)
	defer func() { m.r.Close() }()
	m.join(t)
	t.Repeat(map[string]func(*rapid.T){
		"":            m.Check,
		"put":         m.Put,
		"put 2":       m.Put,
		"put 3":       m.Put,
		"fetch":       m.Fetch,
		"fetch 2":     m.Fetch,
		"peek":        m.Peek,
		"confirm":     m.Confirm,
		"return":      m.Return,
		"return 2":    m.Return,
		"pass":        m.Pass,
		"pass 2":      m.Pass,
		"sweep":       m.Sweep,
		"bury":        m.Bury,
		"flush":       m.Flush,
		"delete":      m.Delete,
		"wait":        m.Wait,
		"stop":        m.Stop,
		"reconfigure": m.Reconfigure,
		"park":        m.Park,
		"restart":     m.Restart,
	})
}
