package bench

// One connection of a load as a state machine: bytes in, bytes out, latencies. It does no I/O, so
// that the epoll loop and the portable one share it.

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math"
)

const (
	longestLine = 4096     // no answer has a longer one
	large       = 16 << 10 // bytes of a request from which it is sent from where it lies, not copied
)

// request is one that was asked and not answered yet.
type request struct {
	kind kind
	at   int64 // when it was asked, or when it was due
}

// session asks and checks answers. Its methods are for one goroutine at a time; times are in ns
// since the start of the load.
type session struct {
	*meter
	dialect
	flight []request // a ring of cap() places, with room for every confirmation
	first  int
	asked  int // in flight

	turn  int64 // requests asked so far
	due   int64 // when the next one is, in an open loop
	ended bool  // asks nothing more

	out   []byte // small requests; those before sent are gone
	sent  int
	big   []byte // a large one behind them
	later []byte // what comes behind that

	part  []byte // the beginning of a line, or of a tail, that is not whole yet
	line  []byte // the one before the item, while it comes
	inner bool   // an item is coming, or its tail
	left  int64  // bytes of it that are still to come
	hash  maphash.Hash
	start []byte // the first bytes of it, to quote
}

// ask puts into the output what may be in flight, as far as it is due. It reports whether there is
// something to send.
func (s *session) ask(now int64) bool {
	for s.big == nil && s.asked < s.depth {
		k, ok := s.nextKind(now)
		if !ok {
			break
		}
		at := now
		if s.gap > 0 {
			at = s.due
			s.due += s.gap
		}
		if k == get {
			s.send(s.getRequest)
		} else {
			s.send(s.setRequests[s.nextItem])
			s.nextItem = (s.nextItem + 1) % len(s.setRequests)
		}
		s.push(request{k, at})
		s.turn++
	}
	return len(s.pending()) > 0
}

// next is when something is to be asked whether or not an answer comes until then.
func (s *session) next() int64 {
	if s.gap == 0 || s.ended || s.asked == s.depth {
		return math.MaxInt64
	}
	return s.due
}

// nextKind is what is to be asked now, if anything.
func (s *session) nextKind(now int64) (kind, bool) {
	k := s.mix.kind(s.turn)
	until := now
	if s.gap > 0 {
		until = s.due
	}
	if s.mix != pairs || k == set { // a get belongs to the set before it
		s.ended = s.ended || s.quota <= 0 || until >= s.deadline && s.turn > 0 // once at least
	}
	if s.ended || until > now {
		return k, false
	}
	s.quota--
	return k, true
}

func (s *session) send(b []byte) {
	switch {
	case s.big != nil:
		s.later = append(s.later, b...)
	case len(b) >= large:
		s.big = b
	default:
		s.out = append(s.out, b...)
	}
}

// pending is what is to be written next.
func (s *session) pending() []byte {
	if s.sent < len(s.out) {
		return s.out[s.sent:]
	}
	return s.big
}

// wrote takes the first n bytes of pending away.
func (s *session) wrote(n int) {
	switch {
	case s.sent < len(s.out):
		if s.sent += n; s.sent == len(s.out) {
			s.out, s.sent = s.out[:0], 0
		}
	case n == len(s.big):
		s.big = nil
		s.out, s.later = s.later, s.out
	default:
		s.big = s.big[n:]
	}
}

func (s *session) push(r request) {
	s.flight[(s.first+s.asked)%len(s.flight)] = r
	s.asked++
}

// pop takes the oldest request in flight away.
func (s *session) pop() request {
	r := s.flight[s.first]
	s.first = (s.first + 1) % len(s.flight)
	s.asked--
	return r
}

// take takes in what the server sent, at the given time.
func (s *session) take(b []byte, now int64) error {
	if len(s.part) > 0 {
		s.part = append(s.part, b...)
		b = s.part
	}
	for len(b) > 0 {
		n, err := s.step(b, now)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		b = b[n:]
	}
	s.part = append(s.part[:0], b...)
	return nil
}

// step takes in the next piece of an answer and returns its length, 0 when it is not whole yet.
func (s *session) step(b []byte, now int64) (int, error) {
	switch {
	case s.inner && s.left > 0:
		n := int(min(s.left, int64(len(b))))
		s.hash.Write(b[:n])
		s.start = append(s.start, b[:min(n, cap(s.start)-len(s.start))]...)
		s.left -= int64(n)
		return n, nil
	case s.inner:
		return s.end(b, now)
	}
	n := bytes.IndexByte(b, '\n') + 1
	if s.asked == 0 {
		return 0, fmt.Errorf("asked nothing, got %.80q", b)
	}
	if n == 0 && len(b) > longestLine {
		return 0, s.wrong(b)
	}
	if n == 0 {
		return 0, nil
	}
	m, size := s.meaning(s.flight[s.first].kind, b[:n])
	switch {
	case m == done:
		s.answered(now)
	case m == empty && s.mix == drain:
		s.ended = true
		s.pop()
	case m == item && (size == int64(s.size) || s.mix == drain):
		s.inner, s.left = true, size
		s.line, s.start = append(s.line[:0], b[:n]...), s.start[:0]
		s.hash.Reset()
	default:
		return 0, s.wrong(b[:n])
	}
	return n, nil
}

// end takes in what follows an item, and judges it.
func (s *session) end(b []byte, now int64) (int, error) {
	tail := s.tail()
	if n := min(len(tail), len(b)); string(b[:n]) != tail[:n] {
		return 0, fmt.Errorf("asked %.80q, got %q, an item of %d bytes, and behind it %.80q", s.getRequest, s.line, s.size, b)
	}
	if len(b) < len(tail) {
		return 0, nil
	}
	if s.mix != drain && !s.known[s.hash.Sum64()] {
		return 0, fmt.Errorf("asked %.80q, got %q and an item that was never set, which begins with %q", s.getRequest, s.line, s.start)
	}
	s.inner = false
	if c := s.confirm(s.line); c != nil {
		s.send(c)
		s.push(request{confirm, s.pop().at})
	} else {
		s.answered(now)
	}
	return len(tail), nil
}

func (s *session) answered(now int64) {
	r := s.pop()
	s.record(r.kind, now-r.at)
	s.last = now
}

// wrong quotes an answer and what was asked.
func (s *session) wrong(got []byte) error {
	asked := s.getRequest
	switch s.flight[s.first].kind {
	case set:
		asked = s.setRequests[0]
	case confirm:
		asked = []byte("delete")
	}
	asked, _, _ = bytes.Cut(asked, []byte("\r\n$")) // a line of Redis's tells nothing more
	return fmt.Errorf("asked %.40q, got %.80q", asked, got)
}

// hungUp is what it means that nothing more is to be read.
func (s *session) hungUp() error {
	return fmt.Errorf("the server closed the connection with %d requests unanswered", s.asked)
}

// finished reports whether nothing more is asked and everything is answered.
func (s *session) finished() bool { return s.ended && s.asked == 0 && len(s.pending()) == 0 }
