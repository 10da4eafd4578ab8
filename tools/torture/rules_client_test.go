package torture

// The clients of TestQueuesKeepTheirRules. Each knows which items it has open, and tells the books.

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// roamer is a client that does something at random.
type roamer struct {
	*client
	b        *books
	producer int
	held     map[string][]holding // by queue, oldest first
	unsure   []holding            // of plain gets: taken as soon as another answer comes
	last     map[[2]any]int       // by queue and producer: the last item that it got
	err      error                // the connection or the server is at fault
}

// holding is an item that a client has.
type holding struct {
	by    *roamer
	i     *ruledItem
	p     place
	queue string
	since time.Time // when it was asked for
}

// roam is one client until the server goes or stop is closed. Now and then it hangs up.
func (b *books) roam(d *daemon, producer int, stop <-chan struct{}) {
	last := make(map[[2]any]int)
	for {
		r := b.connect(d, producer)
		if r == nil {
			return // the server was killed
		}
		r.last = last
		for r.err == nil && rand.IntN(200) > 0 {
			select {
			case <-stop:
				r.hangUp()
				return
			default:
			}
			r.act()
		}
		r.hangUp()
		var answer *answerError
		switch {
		case errors.As(r.err, &answer):
			b.t.Errorf("client %d: %v", producer, r.err)
			return
		case r.err != nil:
			return
		}
	}
}

func (b *books) connect(d *daemon, producer int) *roamer {
	c, err := d.connect()
	if err != nil {
		return nil
	}
	return &roamer{client: c, b: b, producer: producer,
		held: make(map[string][]holding), last: make(map[[2]any]int)}
}

// wrong notes an answer that must not be.
func (r *roamer) wrong(format string, args ...any) {
	r.err = errors.Join(r.err, &answerError{fmt.Sprintf(format, args...)})
}

func (r *roamer) act() {
	queues := ruledQueues()
	queue := queues[rand.IntN(len(queues))]
	if rand.IntN(10) == 0 {
		queue = []string{string(old), string(dead)}[rand.IntN(2)]
	}
	k := kindOf(queue)
	switch n := rand.IntN(20); {
	case n < 7:
		if k != old && k != dead {
			r.put(queue)
		}
	case n < 9:
		if len(r.held[queue]) == 0 {
			r.fetch(queue, []string{"", "", "/t=20"}[rand.IntN(3)])
		}
	case n < 13:
		if r.mayOpen(queue) > 0 {
			r.fetch(queue, []string{"/open", "/open", "/open/t=20"}[rand.IntN(3)])
		}
	case n < 15:
		r.close(queue)
	case n < 17:
		r.abort(queue)
	case n == 17:
		r.peek(queue)
	case n == 18:
		if rand.IntN(10) > 0 {
			r.monitor(queue)
		} else if line, err := r.ask("flush_expired " + queue); err != nil {
			r.err = err
		} else if _, err := strconv.Atoi(line); err != nil {
			r.wrong("%s to flush_expired", line)
		}
	default:
		if held := len(r.held[queue]); held > 0 && k != retry {
			r.confirm(queue, 1+rand.IntN(held))
		}
	}
}

// mayOpen is how many items the client may open. Of a queue that takes them away from slow clients
// it has one at a time, so that it knows which one it closes.
func (r *roamer) mayOpen(queue string) int {
	if kindOf(queue) == retry {
		return 1 - len(r.held[queue])
	}
	return openReads - len(r.held[queue])
}

func (r *roamer) put(queue string) {
	i := &ruledItem{producer: r.producer, queue: queue, size: rand.IntN(300)}
	if rand.IntN(100) == 0 {
		i.size = 70_000
	}
	options, exptime := "", 0
	switch rand.IntN(6) {
	case 0:
		exptime = 1 + rand.IntN(2)
	case 1:
		exptime = 3600
	}
	i.lifetime = time.Duration(exptime) * time.Second
	if rand.IntN(6) == 0 {
		i.delay = time.Duration(1+rand.IntN(700)) * time.Millisecond
		options = fmt.Sprintf("/delay=%d", i.delay.Milliseconds())
	}
	if rand.IntN(20) == 0 {
		options += "/sync"
	}
	r.b.add(i)
	body := i.body()
	answer, err := r.ask(fmt.Sprintf("set %s%s 0 %d %d\r\n%s", queue, options, exptime, len(body), body))
	r.settle()
	switch {
	case err != nil:
		r.err = err
	case answer == "STORED":
		r.b.answered(i, true)
	case answer == "NOT_STORED" && (kindOf(queue) == reject || kindOf(queue) == discard):
		r.b.answered(i, false)
	default:
		r.wrong("%s to a set of %s", answer, queue)
	}
}

// fetch gets an item, open or not. It is false if there was none.
func (r *roamer) fetch(queue, options string) bool {
	asked := time.Now()
	payload, err := r.get(queue + options)
	if err != nil {
		r.err = err
		return false
	}
	r.settle()
	return payload != nil && r.got(queue, payload, asked, strings.Contains(options, "/open"))
}

// got notes an item that came.
func (r *roamer) got(queue string, payload []byte, asked time.Time, opened bool) bool {
	i, p, err := r.b.delivered(r, queue, payload, asked)
	if err != nil {
		r.wrong("item %+v of %s: %v: %.40q", i, queue, err, payload)
		return false
	}
	h := holding{r, i, p, queue, asked}
	if opened {
		r.b.mu.Lock()
		i.returns++ // unless it is confirmed
		r.b.mu.Unlock()
		r.held[queue] = append(r.held[queue], h)
	} else {
		r.unsure = append(r.unsure, h)
		r.confirming(h)
	}
	return true
}

func (r *roamer) peek(queue string) {
	asked := time.Now()
	payload, err := r.get(queue + "/peek")
	if r.err = err; err != nil {
		return
	}
	r.settle()
	if payload == nil {
		return
	}
	i, p, err := r.b.parse(queue, payload)
	if err == nil {
		r.b.mu.Lock()
		err = r.b.seenLocked(i, p, asked)
		r.b.mu.Unlock()
	}
	if err != nil {
		r.wrong("item %+v of %s: %v", i, queue, err)
	}
}

// confirming notes that an item is about to be confirmed, or was taken by a plain get.
func (r *roamer) confirming(h holding) {
	r.b.release(h)
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	h.i.doubtful++
	r.b.perhaps[h.queue]++
}

// confirmed notes that it was.
func (r *roamer) confirmed(h holding) {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	if h.i.kind() == retry && h.p == home && time.Since(h.since) >= leastTimeout {
		return // the server may have taken it away before
	}
	h.i.doubtful--
	h.i.confirms[h.p]++
	r.b.perhaps[h.queue]--
	r.b.certain[h.queue]++
}

// settle notes that an answer came, so what a plain get before it got is gone for good.
func (r *roamer) settle() {
	for _, h := range r.unsure {
		h.since = time.Now() // it was not open
		r.confirmed(h)
	}
	r.unsure = nil
}

// pop forgets the oldest items that the client has open of a queue.
func (r *roamer) pop(queue string, n int) []holding {
	some := r.held[queue][:n]
	r.held[queue] = slices.Clone(r.held[queue][n:])
	return some
}

func (r *roamer) close(queue string) {
	held := r.pop(queue, min(1, len(r.held[queue])))
	for _, h := range held {
		r.confirming(h)
	}
	if r.wants("get "+queue+"/close", "END") {
		for _, h := range held {
			r.confirmed(h)
		}
	}
}

func (r *roamer) confirm(queue string, n int) {
	held := r.pop(queue, n)
	for _, h := range held {
		r.confirming(h)
	}
	if r.wants(fmt.Sprintf("confirm %s %d", queue, n), "END") {
		for _, h := range held {
			r.confirmed(h)
		}
	}
}

func (r *roamer) abort(queue string) {
	held := r.pop(queue, min(1, len(r.held[queue])))
	at := time.Now()
	for _, h := range held {
		r.b.release(h)
	}
	if r.wants("get "+queue+"/abort", "END") {
		for _, h := range held {
			if time.Since(h.since) < leastTimeout && h.p == home {
				r.b.back(h, at)
			}
		}
	}
}

// wants sends a request that has one answer.
func (r *roamer) wants(request, want string) bool {
	answer, err := r.ask(request)
	if r.err = err; err != nil {
		return false
	}
	r.settle()
	if answer != want {
		r.wrong("%q to %s", answer, request)
		return false
	}
	return true
}

// monitor opens some items of a queue, each with an answer of its own.
func (r *roamer) monitor(queue string) {
	most := r.mayOpen(queue)
	if most < 2 {
		return
	}
	most = 1 + rand.IntN(most-1)
	asked := time.Now()
	_, r.err = fmt.Fprintf(r, "monitor %s %d %d\r\n", queue, rand.IntN(2), most)
	for n := 0; r.err == nil; n++ {
		line, err := r.line()
		if r.err = err; err != nil {
			return
		}
		r.settle()
		if line == "END" {
			return
		}
		var name string
		var flags, size int
		if _, err := fmt.Sscanf(line, "VALUE %s %d %d", &name, &flags, &size); err != nil || n >= most {
			r.wrong("%q to a monitor", line)
			return
		}
		payload := make([]byte, size+len("\r\nEND\r\n"))
		if _, r.err = io.ReadFull(r.r, payload); r.err == nil {
			r.got(queue, payload[:size], asked, true)
		}
	}
}

// hangUp ends the connection. What is open goes back.
func (r *roamer) hangUp() {
	for _, held := range r.held {
		for _, h := range held {
			r.b.release(h)
		}
	}
	r.b.mu.Lock()
	for _, h := range r.unsure { // the server may take the answer for lost
		h.i.returns++
	}
	r.b.mu.Unlock()
	r.Close()
}
