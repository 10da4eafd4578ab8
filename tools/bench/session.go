package bench

// One connection of a load, as a state machine: bytes in, bytes out, latencies. It does no I/O, so
// that the epoll loop and the portable loop share it.

import (
	"bytes"
	"fmt"
	"hash/maphash"
)

const (
	maxLine  = 4096     // bytes of the longest line of an answer
	noCopyAt = 16 << 10 // a request of this many bytes is sent without a copy
)

// request is a request that was sent and is not answered yet.
type request struct {
	kind kind
	at   int64 // when it was sent or, in an open loop, was due
}

// session sends requests and checks the answers. Its methods are for one goroutine at a time. Times
// are in ns since the start of the load.
type session struct {
	*meter
	dialect
	inFlight   []request // a ring, with room for every confirmation
	first      int       // index of the oldest request in flight
	unanswered int       // number of requests in flight

	turn  int64 // number of requests sent so far
	due   int64 // when the next one is due, in an open loop
	ended bool  // sends nothing more

	out   []byte // small requests
	sent  int    // bytes of out that are written
	big   []byte // the rest of a large request, which comes after out and is not copied
	later []byte // small requests after big

	part  []byte // the beginning of a line or a tail whose end has not come yet
	line  []byte // the line before the item that is coming
	inner bool   // an item or its tail is coming
	left  int64  // bytes of the item that are still to come
	hash  maphash.Hash
	start []byte // the first bytes of the item, to quote
}

// ask adds to the output the requests that are due and may be in flight. It reports whether there
// is something to write.
func (s *session) ask(now int64) bool {
	for s.big == nil && s.unanswered < s.depth {
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

// nextKind returns which request to send now, if any.
func (s *session) nextKind(now int64) (kind, bool) {
	k := s.mix.kind(s.turn)
	until := now
	if s.gap > 0 {
		until = s.due
	}
	if s.mix != pairs || k == set { // a get belongs to the set before it
		s.ended = s.ended || s.quota <= 0 || until >= s.deadline && s.turn > 0 // at least once
	}
	if s.ended || until > now {
		return k, false
	}
	s.quota--
	return k, true
}

// send adds a request to the output.
func (s *session) send(b []byte) {
	switch {
	case s.big != nil:
		s.later = append(s.later, b...)
	case len(b) >= noCopyAt:
		s.big = b
	default:
		s.out = append(s.out, b...)
	}
}

// pending returns what to write next.
func (s *session) pending() []byte {
	if s.sent < len(s.out) {
		return s.out[s.sent:]
	}
	return s.big
}

// wrote removes the first n bytes of pending.
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
	s.inFlight[(s.first+s.unanswered)%len(s.inFlight)] = r
	s.unanswered++
}

// pop removes and returns the oldest request in flight.
func (s *session) pop() request {
	r := s.inFlight[s.first]
	s.first = (s.first + 1) % len(s.inFlight)
	s.unanswered--
	return r
}

// receive handles bytes that the server sent.
func (s *session) receive(b []byte, now int64) error {
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

// step handles the next piece of an answer and returns its length, or 0 if its end has not come
// yet.
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
	if s.unanswered == 0 {
		return 0, fmt.Errorf("asked nothing, got %.80q", b)
	}
	if n == 0 && len(b) > maxLine {
		return 0, s.wrong(b)
	}
	if n == 0 {
		return 0, nil
	}
	m, size := s.meaning(s.inFlight[s.first].kind, b[:n])
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

// end handles the tail after an item, and checks the item.
func (s *session) end(b []byte, now int64) (int, error) {
	tail := s.tail()
	if n := min(len(tail), len(b)); string(b[:n]) != tail[:n] {
		return 0, fmt.Errorf("asked %.80q, got %q, an item of %d bytes, and %.80q after it",
			s.getRequest, s.line, s.size, b)
	}
	if len(b) < len(tail) {
		return 0, nil
	}
	if s.mix != drain && !s.known[s.hash.Sum64()] {
		return 0, fmt.Errorf("asked %.80q, got %q and an unknown item that begins with %q",
			s.getRequest, s.line, s.start)
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

// answered records the latency of the oldest request in flight.
func (s *session) answered(now int64) {
	r := s.pop()
	s.record(r.kind, now-r.at)
	s.last = now
}

// wrong returns an error that quotes an answer and its request.
func (s *session) wrong(got []byte) error {
	asked := s.getRequest
	switch s.inFlight[s.first].kind {
	case set:
		asked = s.setRequests[0]
	case confirm:
		asked = []byte("delete")
	}
	// The first line is enough of a request to Redis.
	asked, _, _ = bytes.Cut(asked, []byte("\r\n$"))
	return fmt.Errorf("asked %.40q, got %.80q", asked, got)
}

// hungUp returns the error for a connection that the server has closed.
func (s *session) hungUp() error {
	return fmt.Errorf("the server closed the connection with %d requests unanswered", s.unanswered)
}

// finished reports whether everything was sent and answered.
func (s *session) finished() bool {
	return s.ended && s.unanswered == 0 && len(s.pending()) == 0
}
