package memcache

// The session: one connection's place in the protocol.

import "sync/atomic"

// OutputLimit is the length of output, in bytes, at which Process stops until some was taken. One
// reply may exceed it by an inline item.
const OutputLimit = 64 << 10

// State is what a session wants of its transport.
type State uint8

const (
	Ready   State = iota // takes input
	Waiting              // Process when wake was called, or at the Deadline
	Working              // run the Job, then Process
	Closing              // close when the output is written
)

// Session is one connection's conversation. Its methods, and the Job, must not run at the same time;
// wake may be called at any time.
type Session struct {
	env  *Env
	peer Peer
	wake func()

	state    State
	next     func(*Session) // the step that goes on when the state is Ready again
	need     int            // bytes of input without which next can do nothing
	job      func()
	jobDone  bool
	draining atomic.Bool

	in, out []byte // during Process: input not consumed yet, output with this call's behind it
	base    uint64 // what to add to a length of out for an offset in the output stream
	made    uint64 // bytes of output ever made
	sent    uint64 // of them taken by the socket
	spoken  bool   // some input was consumed

	pending pendingRing
	opens   []openItem // oldest first

	command string       // the request in hand, in lower case
	body    body         // of set
	get     get          // of get and gets
	stats   *statsAnswer // of stats
	chunk   *[chunkSize]byte
	waiter  Waiter // nil until a get waits
	sync    syncWait

	stopAwaiting func() // ends a wait for a queue; nil: there is none
}

// NewSession starts a connection's session. wake is called, from any goroutine and perhaps once more
// than needed, when a Waiting session should be processed; it must not block.
func NewSession(env *Env, peer Peer, wake func()) *Session {
	return &Session{env: env, peer: peer, wake: wake, next: (*Session).request}
}

// Process consumes requests from in and appends their answers to out. It returns how many bytes of
// in it consumed; what it left is to be there again, with more behind it, at the next call. It stops
// when it lacks input (see Need), when out has reached OutputLimit, or when the state is not Ready.
func (s *Session) Process(in, out []byte) (consumed int, answers []byte) {
	s.in, s.out = in, out
	s.base = s.made - uint64(len(out))
	s.resume()
	for s.state == Ready && s.need <= len(s.in) && len(s.out) < OutputLimit && !s.pending.full() {
		s.need = 0
		s.next(s)
	}
	consumed, answers = len(in)-len(s.in), s.out
	s.made = s.offset()
	s.in, s.out = nil, nil
	return consumed, answers
}

// resume makes the session Ready if what it waits for may have come; a step that finds it has not
// goes back to Waiting by itself.
func (s *Session) resume() {
	switch {
	case s.state == Waiting, s.state == Working && s.jobDone:
		s.state, s.job, s.jobDone = Ready, nil, false
	}
	s.need = 0
}

// Need is how many bytes in must hold for Process to get further. Up to what it holds already means
// that Process goes on as soon as output was taken. It never exceeds the larger of LineMax and
// Env.InlineMax by more than two.
func (s *Session) Need() int { return s.need }

// State says what the session wants next.
func (s *Session) State() State { return s.state }

// Deadline is when, in milliseconds of Env.Steady, a Waiting session wants Process at the latest. While something is
// got ready for it time does not end its wait.
func (s *Session) Deadline() (at int64, ok bool) {
	if s.state != Waiting || s.stopAwaiting != nil {
		return 0, false
	}
	return s.get.deadline, s.get.deadline != 0
}

// Job is what a Working session wants done before the next Process. It may wait for the disk.
func (s *Session) Job() func() { return s.job }

// work makes the session Working; next is the step after it.
func (s *Session) work(job func(), next func(*Session)) {
	s.state, s.next = Working, next
	s.job = func() {
		job()
		s.jobDone = true
	}
}

// Sent says that the socket took n more bytes of output. Items of plain GETs whose reply went out
// whole are gone from here on.
func (s *Session) Sent(n int) {
	s.sent += uint64(n)
	for {
		p, ok := s.pending.pop(s.sent)
		if !ok {
			return
		}
		// A failure to note it is the queue's to log; the item may come again after a restart.
		_ = p.q.Confirm(p.item)
	}
}

// Unconfirmed tells whether there is output with items of plain GETs that Sent has not told of.
func (s *Session) Unconfirmed() bool { return s.pending.n > 0 }

// Drain is for the server's end: GETs do not wait any more, and one that does is answered at the
// next Process. It may be called from any goroutine.
func (s *Session) Drain() { s.draining.Store(true) }

// Close ends the session, however the connection ended: items that are open, or whose reply did not
// go out whole, go back to their old places; a body on its way in is dropped. Idempotent.
func (s *Session) Close() {
	s.state, s.next = Closing, nil
	s.stopWaiting()
	s.leaveQueue()
	s.stopStreaming()
	s.stopUpload()
	for {
		p, ok := s.pending.pop(unfinished)
		if !ok {
			break
		}
		p.q.Return(p.item)
	}
	for _, o := range s.opens {
		o.q.Return(o.item)
	}
	s.opens = nil
	s.freeChunk()
}

// Bulk tells that what comes is the body of a large item, much of which is consumed at once.
func (s *Session) Bulk() bool { return s.body.upload != nil || s.body.refusal != "" }

// Streaming tells that a large item is on its way in or out: one job follows another, and Close may wait
// for the disk.
func (s *Session) Streaming() bool { return s.body.upload != nil || s.get.reader != nil }

// Rest gives back memory that the session does not need until the next Process. It may come in the
// middle of an answer, when the client is slow to take it.
func (s *Session) Rest() {
	if s.pending.n == 0 {
		s.pending = pendingRing{}
	}
	if len(s.opens) == 0 {
		s.opens = nil
	}
	if s.state == Ready && len(s.get.keys) == 0 {
		s.get, s.waiter = get{}, nil
	}
}

// offset is where in the output stream the next byte goes.
func (s *Session) offset() uint64 { return s.base + uint64(len(s.out)) }

func (s *Session) reply(text string) { s.out = append(s.out, text...) }

// fail answers and closes.
func (s *Session) fail(text string) {
	s.reply(text)
	s.state = Closing
}

func (s *Session) useChunk() []byte {
	if s.chunk == nil {
		s.chunk = s.env.getChunk()
	}
	return s.chunk[:]
}

func (s *Session) freeChunk() {
	if s.chunk != nil {
		s.env.putChunk(s.chunk)
		s.chunk = nil
	}
}
