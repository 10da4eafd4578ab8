package main

// kill -9 under load, again and again: everything that the server answered is true afterwards.

import (
	"bufio"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var killRounds = flag.Int("kill-rounds", 10,
	"how often TestKilledServerKeepsWhatItAnswered kills its server")

const (
	killQueues    = 5
	killProducers = 25 // connections; each sets numbered items to one queue
	killConsumers = 25 // connections; each gets from one queue
)

// ledger is what the clients know about every item that was sent, from the answers they got.
type ledger struct {
	t      *testing.T
	others int // queues without a ledger, which a client goes through
	round  int
	acks   atomic.Int64 // answers in this round

	mu    sync.Mutex
	items [killProducers][]fate
}

// fate is what is known about one item.
type fate struct {
	stored    bool // answered STORED
	delivered int  // the last round it was delivered in, from 1
	doubtful  bool // its confirmation may or may not have reached the server
	confirmed bool // its confirmation was answered
}

// id is one item: the n-th of a producer.
type id struct{ producer, n int }

func (i id) queue() string { return "q" + strconv.Itoa(i.producer%killQueues) }

// body is the payload of an item: its id, filler of a length that depends on it, and a checksum.
// One in a hundred is large enough to be streamed.
func (i id) body() []byte {
	size := (i.n * 7919) % 300
	if i.n%100 == 99 {
		size = 70_000
	}
	text := fmt.Sprintf("%d %d %s", i.producer, i.n, strings.Repeat("x", size))
	return fmt.Appendf(nil, "%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
}

// parse reads an item, and fails if a byte of it is wrong.
func parse(body []byte) (i id, err error) {
	if _, err = fmt.Sscan(string(body[:min(len(body), 40)]), &i.producer, &i.n); err == nil &&
		string(body) != string(i.body()) {
		err = fmt.Errorf("wrong bytes in item %v: %.60q", i, body)
	}
	return i, err
}

func (l *ledger) fate(i id) *fate { return &l.items[i.producer][i.n] }

// next is the next item of a producer. From now on it may exist.
func (l *ledger) next(producer int) id {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items[producer] = append(l.items[producer], fate{})
	return id{producer, len(l.items[producer]) - 1}
}

func (l *ledger) stored(i id) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fate(i).stored = true
	l.acks.Add(1)
}

// delivered notes a delivery, and fails if it should not have happened.
func (l *ledger) delivered(i id, queue string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case i.producer >= killProducers || i.n >= len(l.items[i.producer]):
		return fmt.Errorf("item %v was delivered and never sent", i)
	case i.queue() != queue:
		return fmt.Errorf("item %v of %s was delivered from %s", i, i.queue(), queue)
	}
	f := l.fate(i)
	switch {
	case f.confirmed:
		return fmt.Errorf("item %v was confirmed and came back: %+v, in round %d", i, *f, l.round)
	case f.delivered == l.round:
		return fmt.Errorf("item %v was delivered twice in round %d", i, l.round)
	}
	f.delivered = l.round
	return nil
}

func (l *ledger) confirming(i id) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fate(i).doubtful = true
}

func (l *ledger) confirmed(i id) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fate(i).confirmed = true
	l.acks.Add(1)
}

// produce sets items until the server is gone.
func (l *ledger) produce(conn net.Conn, producer int) error {
	r := bufio.NewReader(conn)
	for {
		i := l.next(producer)
		body := i.body()
		_, err := fmt.Fprintf(conn, "set %s 0 0 %d\r\n%s\r\n", i.queue(), len(body), body)
		if err != nil {
			return nil
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return nil
		}
		if line != "STORED\r\n" {
			return fmt.Errorf("got %q for a set, want STORED", line)
		}
		l.stored(i)
	}
}

// consumer takes items of one queue. An item of a plain GET is in doubt after its delivery, and an
// opened item after its close was sent. Both are confirmed when the next answer comes.
type consumer struct {
	*ledger
	queue       string
	request     string
	plain       bool
	r           *bufio.Reader
	unconfirmed *id                // the item that the next answer confirms
	last        [killProducers]int // number of the last item of each producer, plus one: order
}

// consume gets items until the server is gone or, with until, until an answer has no item.
func (c *consumer) consume(conn net.Conn, until bool) error {
	c.r = bufio.NewReader(conn)
	for {
		if c.unconfirmed != nil {
			c.confirming(*c.unconfirmed)
		}
		if _, err := io.WriteString(conn, c.request); err != nil {
			return nil
		}
		body, gone, err := c.answer()
		if gone || err != nil {
			return err
		}
		if c.unconfirmed != nil {
			c.confirmed(*c.unconfirmed)
			c.unconfirmed = nil
		}
		if body == nil {
			if until {
				return nil
			}
			continue
		}
		if err := c.judge(body); err != nil {
			return err
		}
	}
}

func (c *consumer) judge(body []byte) error {
	i, err := parse(body)
	if err == nil {
		err = c.delivered(i, c.queue)
	}
	if err != nil {
		return err
	}
	if i.n < c.last[i.producer] {
		return fmt.Errorf("item %v was delivered after number %d", i, c.last[i.producer]-1)
	}
	c.last[i.producer] = i.n + 1
	if c.plain {
		c.confirming(i)
	}
	c.unconfirmed = &i
	return nil
}

// answer reads the answer to a GET. gone tells that the connection ended before.
func (c *consumer) answer() (body []byte, gone bool, err error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, true, nil
	}
	if line == "END\r\n" {
		return nil, false, nil
	}
	var size int
	if _, err := fmt.Sscanf(line, "VALUE "+c.queue+" 0 %d\r\n", &size); err != nil {
		return nil, false, fmt.Errorf("got %q for a get, want an item or END", line)
	}
	rest := make([]byte, size+len("\r\nEND\r\n"))
	if _, err := io.ReadFull(c.r, rest); err != nil {
		return nil, true, nil
	}
	if string(rest[size:]) != "\r\nEND\r\n" {
		return nil, false, fmt.Errorf("got %q after a body, want END", rest[size:])
	}
	return rest[:size], false, nil
}

func (l *ledger) consumer(n int) *consumer {
	c := &consumer{ledger: l, queue: "q" + strconv.Itoa(n%killQueues), plain: n%2 == 0}
	c.request = "get " + c.queue + "/t=20/close/open\r\n"
	if c.plain {
		c.request = "get " + c.queue + "/t=20\r\n"
	}
	return c
}

// load has all clients work until the server has given that many answers, and kills it.
func (l *ledger) load(d *daemon, answers int64) {
	l.acks.Store(0)
	var clients sync.WaitGroup
	client := func(work func(net.Conn) error) {
		conn, err := net.Dial("tcp", d.Addr)
		if err != nil {
			l.t.Error(err)
			return
		}
		clients.Go(func() {
			defer conn.Close()
			if err := work(conn); err != nil {
				l.t.Error(err)
			}
		})
	}
	for p := range killProducers {
		client(func(conn net.Conn) error { return l.produce(conn, p) })
	}
	for n := range killConsumers {
		client(func(conn net.Conn) error { return l.consumer(n).consume(conn, false) })
	}
	if l.others > 0 {
		client(l.roam)
	}
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); l.acks.Load() < answers && !l.t.Failed(); <-tick.C {
		if time.Now().After(end) {
			l.t.Errorf("got %d answers, want %d\n%s", l.acks.Load(), answers, d.Log)
			break
		}
	}
	d.Kill()
	clients.Wait()
}

// roam sets and gets in all other queues by turns, until the server is gone.
func (l *ledger) roam(conn net.Conn) error {
	const stored, item = "STORED\r\n", "VALUE other%d 0 1\r\na\r\nEND\r\n"
	for n := 0; ; n = (n + 1) % l.others {
		_, err := fmt.Fprintf(conn, "set other%d 0 0 1\r\na\r\nget other%d\r\n", n, n)
		if err != nil {
			return nil
		}
		want := stored + fmt.Sprintf(item, n)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil {
			return nil
		}
		if string(got) != want {
			return fmt.Errorf("got %q, want %q", got, want)
		}
	}
}

// drain takes all items that are left and then checks every item.
func (l *ledger) drain(d *daemon) {
	for q := range killQueues {
		conn := d.dial()
		c := l.consumer(q)
		c.plain, c.request = false, "get "+c.queue+"/close/open\r\n"
		if err := c.consume(conn, true); err != nil {
			l.t.Error(err)
		}
	}
	stored := 0
	for p, items := range l.items {
		for n, f := range items {
			if f.stored {
				stored++
			}
			if f.stored && !f.confirmed && !f.doubtful {
				l.t.Errorf("item %v was answered STORED: got %+v, want it delivered", id{p, n}, f)
			}
		}
	}
	l.t.Logf("%d items stored over %d rounds", stored, l.round)
}

func TestKilledServerKeepsWhatItAnswered(t *testing.T) {
	t.Parallel()
	keepsWhatItAnswered(t, binary, 0)
}

// keepsWhatItAnswered kills servers, while a client goes through some other queues.
func keepsWhatItAnswered(t *testing.T, program string, others int) {
	t.Helper()
	rounds := *killRounds
	if testing.Short() {
		rounds = min(rounds, 3)
	}
	data := t.TempDir()
	l := &ledger{t: t, others: others}
	for range rounds {
		l.round++
		d := launchAs(t, program, data, "--segment-size", "256KiB")
		l.load(d, rand.Int64N(4000))
		if t.Failed() {
			t.Fatalf("in round %d\n%s", l.round, d.Log)
		}
	}
	l.round++
	d := launchAs(t, program, data)
	l.drain(d)
	if strings.Contains(d.Log.String(), "level=ERROR") {
		t.Errorf("got errors in the log, want none:\n%s", d.Log)
	}
}
