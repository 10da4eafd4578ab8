package torture

// A load of numbered items, and what its clients know about each item from the answers.

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// number identifies an item of a queue: the n-th of a generation. A queue that is deleted and
// created again is in its next generation.
type number struct{ generation, n int }

func (a number) less(b number) bool {
	return a.generation < b.generation || a.generation == b.generation && a.n < b.n
}

// body returns an item's payload: its queue and number, filler and a checksum. One item in fifty is
// large enough for a body file.
func body(queue string, i number) []byte {
	size := i.n * 7919 % 3000
	if i.n%50 == 49 {
		size += 70_000
	}
	text := fmt.Sprintf("%s %d %d %s", queue, i.generation, i.n,
		strings.Repeat(string(rune('a'+i.n%26)), size))
	return fmt.Appendf(nil, "%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
}

// parse returns the number of an item. A wrong byte is an error.
func parse(queue string, b []byte) (i number, err error) {
	var name string
	if _, err = fmt.Sscan(string(b[:min(len(b), 80)]), &name, &i.generation, &i.n); err == nil &&
		string(b) != string(body(queue, i)) {
		err = errors.New("wrong bytes")
	}
	if err != nil {
		return i, fmt.Errorf("%s delivered %d bytes, %.60q: %w", queue, len(b), b, err)
	}
	return i, nil
}

// fate is what is known about an item.
type fate struct {
	sent   bool
	stored time.Time // when it was answered STORED
	synced bool      // it or a later item was answered STORED with /sync
	// taking says that it may be gone: a request to confirm it, or to delete its queue, was sent.
	taking bool
}

// ledger is what is known about all items.
type ledger struct {
	mu     sync.Mutex
	queues map[string]map[number]*fate
	dead   map[string]int // generations below this were answered DELETED

	syncedTo map[string]number // the last synced item
	acks     atomic.Int64      // number of answers

	generation int  // generation of new items
	forgets    bool // it drops confirmed items, which must not come back as only processes die
}

// most is how many items a queue may hold if the ledger forgets.
const most = 3000

func newLedger() *ledger {
	return &ledger{queues: map[string]map[number]*fate{}, dead: map[string]int{},
		syncedTo: map[string]number{}}
}

// fateLocked returns the fate of an item, and adds the item if necessary.
func (l *ledger) fateLocked(queue string, i number) *fate {
	if l.queues[queue] == nil {
		l.queues[queue] = map[number]*fate{}
	}
	if l.queues[queue][i] == nil {
		l.queues[queue][i] = &fate{}
	}
	return l.queues[queue][i]
}

func (l *ledger) sent(queue string, i number) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fateLocked(queue, i).sent = true
}

// stored records that an item was answered STORED. A synced answer is also for all items before it.
func (l *ledger) stored(queue string, i number, synced bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks.Add(1)
	if f := l.queues[queue][i]; f != nil {
		f.stored = time.Now()
	}
	if !synced {
		return
	}
	from := 0
	if s := l.syncedTo[queue]; s.generation == i.generation {
		from = s.n
	}
	for n := from; n <= i.n; n++ {
		if f := l.queues[queue][number{i.generation, n}]; f != nil {
			f.synced = !f.stored.IsZero()
		}
	}
	l.syncedTo[queue] = i
}

// taking records that an item may be gone from now on.
func (l *ledger) taking(queue string, i number) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.queues[queue][i]; f != nil {
		f.taking = true
	}
	l.acks.Add(1)
}

func (l *ledger) confirmed(queue string, i number) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgets {
		delete(l.queues[queue], i)
	}
}

// crowded reports whether a queue holds too many items for a ledger that forgets.
func (l *ledger) crowded(queue string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forgets && len(l.queues[queue]) > most
}

// takingAll is taking for all items of a queue.
func (l *ledger) takingAll(queue string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.queues[queue] {
		f.taking = true
	}
}

// deleted records that all generations below one are deleted.
func (l *ledger) deleted(queue string, below int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead[queue] = below
	if l.forgets {
		clear(l.queues[queue])
	}
}

// moment is what was promised just before a power cut, and what may have been gone just after it.
type moment struct {
	at     time.Time
	synced map[string]map[number]bool
	stored map[string]map[number]time.Time
	dead   map[string]int
	taken  map[string]map[number]bool
}

// promised starts a moment with what is promised now.
func (l *ledger) promised() *moment {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &moment{
		at:     time.Now(),
		synced: map[string]map[number]bool{},
		stored: map[string]map[number]time.Time{},
		dead:   map[string]int{},
		taken:  map[string]map[number]bool{},
	}
	for queue, items := range l.queues {
		m.synced[queue] = map[number]bool{}
		m.stored[queue] = map[number]time.Time{}
		m.taken[queue] = map[number]bool{}
		m.dead[queue] = l.dead[queue]
		for i, f := range items {
			if f.synced {
				m.synced[queue][i] = true
			}
			if !f.stored.IsZero() {
				m.stored[queue][i] = f.stored
			}
		}
	}
	return m
}

// gone completes a moment with what may be gone now.
func (l *ledger) gone(m *moment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for queue, items := range l.queues {
		for i, f := range items {
			if f.taking && m.taken[queue] != nil {
				m.taken[queue][i] = true
			}
		}
	}
}

// load is clients that use a server.
type load struct {
	*ledger
	d       *daemon
	stop    atomic.Bool
	clients sync.WaitGroup
	refused atomic.Int64 // sets answered with an error

	mu  sync.Mutex
	err error // broken promises
}

// put starts a load on some queues. Each has a client that sets items and a slower one that takes
// them. One more queue is deleted again and again.
func (l *ledger) put(d *daemon, queues ...string) *load {
	w := &load{ledger: l, d: d}
	for _, q := range queues {
		w.client(func(c *client) error { return w.produce(c, q) })
		w.client(func(c *client) error { return w.consume(c, q) })
	}
	w.client(func(c *client) error { return w.churn(c, "churn") })
	return w
}

// client starts a client. Only wrong answers of the server are errors.
func (w *load) client(work func(*client) error) {
	w.clients.Go(func() {
		c, err := w.d.connect()
		if err != nil {
			return
		}
		defer c.Close()
		var answer *answerError
		if err = work(c); errors.As(err, &answer) || errors.Is(err, errWrong) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.err = errors.Join(w.err, err)
		}
	})
}

var errWrong = errors.New("broken promise")

// end stops the clients, and returns the broken promises that they saw.
func (w *load) end() error {
	w.stop.Store(true)
	w.clients.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// highest returns the number after the last item of a queue.
func (w *load) highest(queue string) (n int) {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for i := range w.queues[queue] {
		n = max(n, i.n+1)
	}
	return n
}

func (w *load) produce(c *client, queue string) error {
	pause := time.NewTicker(time.Millisecond) // between looks at the queue
	defer pause.Stop()
	for n := w.highest(queue); !w.stop.Load(); n++ {
		if err := w.one(c, queue, number{w.generation, n}, rand.IntN(8) == 0); err != nil {
			return err
		}
		for w.crowded(queue) && !w.stop.Load() {
			<-pause.C
		}
	}
	return nil
}

// one sets an item.
func (w *load) one(c *client, queue string, i number, sync bool) error {
	w.sent(queue, i)
	key := queue
	if sync {
		key += "/sync"
	}
	switch answer, err := c.set(key, body(queue, i)); {
	case err != nil:
		return err
	case answer == "STORED":
		w.stored(queue, i, sync)
	case strings.HasPrefix(answer, "SERVER_ERROR "):
		w.refused.Add(1)
	default:
		return fmt.Errorf("%w: a set was answered %q", errWrong, answer)
	}
	return nil
}

// consume takes items in order. It aborts every third one before it takes it.
func (w *load) consume(c *client, queue string) error {
	last := number{-1, -1}
	pace := time.NewTicker(time.Millisecond) // slower than the producer, so that there is a backlog
	defer pace.Stop()
	for !w.stop.Load() {
		b, err := c.get(queue + "/t=50/open")
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		i, err := parse(queue, b)
		if err != nil {
			return fmt.Errorf("%w: %w", errWrong, err)
		}
		if i.less(last) {
			return fmt.Errorf("%w: %s delivered %v after %v", errWrong, queue, i, last)
		}
		last = i
		how := "/abort"
		if rand.IntN(3) > 0 {
			how = "/close"
			w.taking(queue, i)
		}
		if _, err := c.get(queue + how); err != nil {
			return err
		}
		if how == "/close" {
			w.confirmed(queue, i)
		}
		<-pace.C
	}
	return nil
}

// churn fills a queue and deletes it, again and again.
func (w *load) churn(c *client, queue string) error {
	generation := w.generation
	w.ledger.mu.Lock()
	for i := range w.queues[queue] {
		generation = max(generation, i.generation+1)
	}
	w.ledger.mu.Unlock()
	for ; !w.stop.Load(); generation++ {
		for n := range 1 + rand.IntN(40) {
			if err := w.one(c, queue, number{generation, n}, rand.IntN(20) == 0); err != nil {
				return err
			}
		}
		w.takingAll(queue)
		answer, err := c.ask("delete " + queue)
		if err != nil {
			return err
		}
		if answer == "DELETED" {
			w.deleted(queue, generation+1)
		}
	}
	return nil
}

// judge takes all items of a server and compares them with what was promised. grace is how old an
// item must be to be safe without /sync; with 0, only synced items are.
func (m *moment) judge(d *daemon, l *ledger, grace time.Duration) error {
	c := d.dial()
	var errs []error
	for queue := range l.queues {
		back := map[number]bool{}
		last := number{-1, -1}
		for {
			b, err := c.get(queue + "/close/open")
			if err != nil {
				return err
			}
			if b == nil {
				break
			}
			i, err := parse(queue, b)
			switch {
			case err != nil:
			case !last.less(i):
				err = fmt.Errorf("%s delivered %v after %v", queue, i, last)
			case i.generation < m.dead[queue]:
				err = fmt.Errorf("%s delivered %v after all below generation %d were deleted",
					queue, i, m.dead[queue])
			}
			if l.forgets && l.queues[queue][i] == nil {
				err = errors.Join(err, fmt.Errorf("%s delivered %v, which was confirmed", queue, i))
			}
			errs = append(errs, err)
			last, back[i] = i, true
		}
		for i := range m.synced[queue] {
			if !back[i] && !m.taken[queue][i] {
				errs = append(errs, fmt.Errorf("%s lost %v, which was synced", queue, i))
			}
		}
		for i, at := range m.stored[queue] {
			if age := m.at.Sub(at); grace > 0 && age > grace && !back[i] && !m.taken[queue][i] {
				errs = append(errs, fmt.Errorf("%s lost %v, which was %v old", queue, i, age))
			}
		}
	}
	return errors.Join(errs...)
}
