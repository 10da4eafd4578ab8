package memcache

// The session: one connection's place in the protocol.

import (
	"context"
	"sync/atomic"
)

// OutputLimit is the length of output, in bytes, at which Process stops until some of it is sent.
// One reply may exceed it by an inline item.
const OutputLimit = 64 << 10

// State is what a session wants from its transport.
type State uint8

const (
	Ready   State = iota // takes input
	Waiting              // wants Process after wake was called, or at the Deadline
	Working              // wants its Job run, then Process
	Closing              // wants the connection closed when the output is sent
)

// Session is one connection's conversation. Its methods, and the Job, must not run at the same
// time; wake may be called at any time.
type Session struct {
	env  *Env
	peer Peer
	wake func()

	state    State
	next     func(*Session) // the step to take when the state is Ready
	need     int            // bytes of input that next needs
	job      func()
	jobDone  bool
	draining atomic.Bool

	// During Process: the input that is not consumed yet, and the output with this call's at its
	// end.
	in, out []byte

	base    uint64 // what to add to a length of out for an offset in the output stream
	made    uint64 // bytes of output so far
	taken   uint64 // how many of them the socket took
	sent    uint64 // how many of these count as sent
	started bool   // some input was consumed

	lent    []lent // payloads in the output that the socket has not taken, in order
	pending pendingRing
	opens   []openItem // oldest first

	command  string       // the current one, in lower case
	noreply  bool         // it wants no answer
	bareLine bool         // its line ended with \n alone
	set      setState     // of set
	get      getState     // of get and gets
	stats    *statsAnswer // of stats
	chunk    *[chunkSize]byte
	waiter   Waiter // nil until a get waits
	sync     syncWait

	stopAwaiting func() // ends a wait for a queue; nil: there is none

	cancelJob atomic.Pointer[context.CancelFunc] // of a job over all queues; nil: there is none
}

// NewSession starts a connection's session. wake is called when a Waiting session should be
// processed, from any goroutine and perhaps once more than needed. It must not block.
func NewSession(env *Env, peer Peer, wake func()) *Session {
	return &Session{env: env, peer: peer, wake: wake, next: (*Session).request}
}

// Process consumes requests from in and appends their answers to out, but for payloads that it
// lends: see Parts. It returns how many bytes of in it consumed; the next call must be given what
// it left, and more. It stops when it lacks input (see Need), when the answers have reached
// OutputLimit, or when the state is not Ready.
func (s *Session) Process(in, out []byte) (consumed int, answers []byte) {
	s.in, s.out = in, out
	s.base = s.made - uint64(len(out))
	full := s.base + OutputLimit
	s.resume()
	for s.state == Ready && s.need <= len(s.in) && s.offset() < full && !s.pending.full() {
		s.need = 0
		s.next(s)
	}
	consumed, answers = len(in)-len(s.in), s.out
	s.made = s.offset()
	s.in, s.out = nil, nil
	return consumed, answers
}

// resume makes the session Ready if what it waits for may have come. A step that finds that it has
// not goes back to Waiting.
func (s *Session) resume() {
	switch {
	case s.state == Waiting, s.state == Working && s.jobDone:
		s.state, s.job, s.jobDone = Ready, nil, false
	}
	s.need = 0
}

// Need is how many bytes in must hold for Process to get further. If it holds as many already,
// Process gets further when output was sent. Need never exceeds 16 KiB by more than two.
func (s *Session) Need() int { return s.need }

// State returns what the session wants next.
func (s *Session) State() State { return s.state }

// Deadline is when a Waiting session wants Process at the latest, in ms of Env.Steady. Time does
// not end a wait for a queue that prepares something.
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

// Sent notes that n more bytes of output, which the socket took, count as sent. Items of plain GETs
// are gone once their whole reply is sent.
func (s *Session) Sent(n int) {
	s.sent += uint64(n)
	for {
		p, ok := s.pending.pop(s.sent)
		if !ok {
			return
		}
		// The queue logs an error; the item may come again after a restart.
		_ = p.q.Confirm(p.item)
	}
}

// Unconfirmed reports whether items of plain GETs are in output that is not sent yet.
func (s *Session) Unconfirmed() bool { return s.pending.n > 0 }

// Drain is called when the server stops: GETs no longer wait, and one that waits is answered at the
// next Process. Commands over all queues end. It may be called from any goroutine.
func (s *Session) Drain() {
	s.draining.Store(true)
	if cancel := s.cancelJob.Load(); cancel != nil {
		(*cancel)()
	}
}

// untilDrain returns a context for a job over all queues, which ends with Drain. Call done after
// the job.
func (s *Session) untilDrain() (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancelJob.Store(&cancel)
	if s.draining.Load() {
		cancel()
	}
	return ctx, func() {
		s.cancelJob.Store(nil)
		cancel()
	}
}

// Close ends the session, however the connection ended. Items that are open, or whose whole reply
// was not sent, go back to their old places. An upload is dropped. Idempotent.
func (s *Session) Close() {
	s.state, s.next = Closing, nil
	s.stopWaiting()
	s.endAwait()
	s.stopStreaming()
	s.stopUpload()
	s.releaseLent()
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

// Bulk reports whether the input is a body that is consumed as it comes, so that much of it is
// consumed at once.
func (s *Session) Bulk() bool { return s.set.upload != nil || s.set.refusal != "" }

// Streaming reports whether the body of an item is being received into a file of its own, or sent
// from there: one job follows another, and Close may wait for the disk.
func (s *Session) Streaming() bool {
	into := s.set.upload != nil && (s.set.inline == nil || s.set.inline.Aside())
	return into || s.get.body != nil
}

// ReleaseMemory frees memory that the session does not need until the next Process. It may be
// called in the middle of an answer, when the client is slow to take it.
func (s *Session) ReleaseMemory() {
	if s.pending.n == 0 {
		s.pending = pendingRing{}
	}
	if len(s.opens) == 0 {
		s.opens = nil
	}
	if len(s.lent) == 0 {
		s.lent = nil
	}
	if s.state == Ready && len(s.get.keys) == 0 {
		s.get, s.waiter = getState{}, nil
	}
}

// offset is the offset of the next byte in the output stream.
func (s *Session) offset() uint64 { return s.base + uint64(len(s.out)) }

func (s *Session) reply(text string) { s.out = append(s.out, text...) }

// answer replies unless the request says noreply.
func (s *Session) answer(text string) {
	if !s.noreply {
		s.reply(text)
	}
}

// fail answers and closes.
func (s *Session) fail(text string) {
	s.answer(text)
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
