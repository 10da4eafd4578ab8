package memcache

// GET and GETS: the keys, and one item from each queue that has one.

import (
	"errors"
	"strconv"

	"github.com/darner/darner/server/queue"
)

const (
	noKeys       = "CLIENT_ERROR get wants a queue\r\n"
	tooManyWaits = "CLIENT_ERROR cannot wait for more than 256 queues\r\n"
	closeFirst   = "CLIENT_ERROR close current item first\r\n"
	mixedWaits   = "CLIENT_ERROR peek does not wait together with other reads\r\n"
	endOfAnswer  = "END\r\n"

	// maxWaits is how many queues a get may wait in: a name costs memory while somebody waits.
	maxWaits = 256
	// keepKeys is how many keys the session keeps room for after a request, keepAsked of how many
	// bytes.
	keepKeys  = 64
	keepAsked = 1 << 10
)

// getKey is one queue of a get, and what to do with it.
type getKey struct {
	q    Queue
	opts options

	from, to uint16 // where getState.asked has it, with Dialect.EchoAsked
}

// fetches reports whether the key asks for an item: /close and /abort alone do not.
func (k *getKey) fetches() bool { return k.opts&optOpen != 0 || k.opts&(optClose|optAbort) == 0 }

// takes reports whether the key takes an item out of the queue.
func (k *getKey) takes() bool { return k.fetches() && k.opts&optPeek == 0 }

// getState is the current get.
type getState struct {
	keys      []getKey
	asked     []byte // the keys as they were asked for, with Dialect.EchoAsked
	at        int    // index of the current key
	wait      int64  // ms; the longest of all keys
	until     int64  // of Env.Steady: the end of a wait, for a get that may wait
	deadline  int64  // until, once it waits; else 0
	cas       bool   // gets: answer with the sequence number
	peeks     bool   // what it waits for is shown, not taken
	found     bool   // the answer has an item
	opened    int    // items that it opened, the newest of the session's
	reclaimed bool   // Queue.Reclaim was tried
	monitors  bool   // each item is an answer of its own, and others follow
	most      uint64 // of a monitor: how many more items it may have
	err       error  // of the last job

	item   queue.Item   // the current one
	loan   queue.Loan   // its payload, if a job has borrowed it
	body   queue.Body   // of a large item
	pieces []queue.Loan // what a job has borrowed of it
	left   int64        // bytes of it that have yet to be answered
}

func (s *Session) getCommand(args []byte)  { s.beginGet(args, false) }
func (s *Session) getsCommand(args []byte) { s.beginGet(args, true) }

// beginGet reads all keys before anything is done for the first one.
func (s *Session) beginGet(args []byte, cas bool) {
	g := &s.get
	*g = getState{keys: g.keys[:0], asked: g.asked[:0], cas: cas}
	for {
		var word []byte
		if word, args = nextWord(args); len(word) == 0 {
			break
		}
		if problem := s.addKey(word); problem != "" {
			s.refuseGet(problem)
			return
		}
	}
	if problem := s.checkKeys(); problem != "" {
		s.refuseGet(problem)
		return
	}
	if err := s.refuses(false); err != nil && g.anyFetches() {
		s.refuseFetches(err)
		return
	}
	if g.wait > 0 {
		g.until = s.env.Steady() + g.wait
	}
	s.next = (*Session).loadKeys
}

func (s *Session) refuseGet(problem string) {
	s.reply(problem)
	s.get.dropKeys()
}

// refuseFetches refuses a get that fetches. What it closes or aborts is closed or aborted all the
// same.
func (s *Session) refuseFetches(why error) {
	for i := range s.get.keys {
		if k := &s.get.keys[i]; k.opts&(optClose|optAbort) != 0 {
			if err := s.closeOldest(k); err != nil {
				why = err
			}
		}
	}
	s.refuseGet(serverError(why))
}

func (s *Session) addKey(word []byte) (problem string) {
	g := &s.get
	q, opts, wait, problem := s.parseKey(word, getOptions)
	if problem != "" {
		return problem
	}
	g.wait = max(g.wait, wait)
	k := getKey{q: q, opts: opts}
	if s.env.live().Dialect.EchoAsked { // the line leaves the input before the answer
		k.from = uint16(len(g.asked))
		g.asked = append(g.asked, word...)
		k.to = uint16(len(g.asked))
	}
	g.keys = append(g.keys, k)
	return ""
}

// checkKeys refuses combinations of keys that cannot be done.
func (s *Session) checkKeys() (problem string) {
	g := &s.get
	switch {
	case len(g.keys) == 0:
		return noKeys
	case len(g.keys) > maxWaits && g.wait > 0:
		return tooManyWaits
	}
	takes := false
	for i := range g.keys {
		k := &g.keys[i]
		takes = takes || k.takes()
		g.peeks = g.peeks || k.opts&optPeek != 0
	}
	if takes && g.peeks && g.wait > 0 {
		return mixedWaits
	}
	if takes && !s.mayOpen() && !(s.dropEnded() && s.mayOpen()) {
		return closeFirst
	}
	return ""
}

// loadKeys has a job load the queues that are parked.
func (s *Session) loadKeys() {
	g := &s.get
	for i := range g.keys {
		if g.keys[i].q.Parked() {
			s.work(s.load, (*Session).keysLoaded)
			return
		}
	}
	s.next = (*Session).keysLoaded
}

// load is the job of loadKeys.
func (s *Session) load() {
	g := &s.get
	for i := range g.keys {
		if q := g.keys[i].q; q.Parked() {
			if g.err = q.Load(); g.err != nil {
				return
			}
		}
	}
}

func (s *Session) keysLoaded() {
	g := &s.get
	if g.err != nil {
		s.failGet(g.err)
		return
	}
	for i := range g.keys {
		switch k := &g.keys[i]; {
		case k.takes():
			s.env.Counters.CmdGet.Add(1)
		case k.fetches():
			s.env.Counters.CmdPeek.Add(1)
		}
	}
	s.next = (*Session).nextKey
}

// nextKey does what the options of the current key say, then fetches its item.
func (s *Session) nextKey() {
	g := &s.get
	if g.at == len(g.keys) {
		s.endKeys()
		return
	}
	k := &g.keys[g.at]
	if k.opts&(optClose|optAbort) != 0 {
		if err := s.closeOldest(k); err != nil {
			s.failGet(err)
			return
		}
	}
	if !k.fetches() {
		g.at++
		return
	}
	s.next = (*Session).fetch
}

// fetch takes or shows the head of the current key's queue.
func (s *Session) fetch() {
	g := &s.get
	k := &g.keys[g.at]
	var item queue.Item
	var ok bool
	var err error
	if k.takes() {
		item, ok, err = k.q.TryFetch()
	} else {
		item, ok, err = k.q.TryPeek()
	}
	switch {
	case err != nil:
		s.fetchFailed(err, (*Session).fetch)
	case ok:
		s.deliver(item)
	default:
		s.keyDone()
	}
}

// fetchFailed handles an error of fetching the current key's item: it removes the cause and goes on
// with next, or answers with the error.
func (s *Session) fetchFailed(err error, next func(*Session)) {
	g := &s.get
	q := g.keys[g.at].q
	again := func(s *Session) {
		if g.err != nil {
			s.failGet(g.err)
			return
		}
		s.next = next
	}
	switch {
	case err == queue.ErrNotLoaded: // it was parked meanwhile
		s.work(func() { g.err = q.Load() }, again)
	case err == queue.ErrUnready:
		s.await(q.ReadyThen, next)
	case !g.reclaimed:
		g.reclaimed = true
		s.work(func() {
			if !q.Reclaim(err) {
				g.err = err
			}
		}, again)
	default:
		s.failGet(err)
	}
}

// keyDone goes on after the current key. An item that was waited for is the only one.
func (s *Session) keyDone() {
	g := &s.get
	g.at++
	if g.deadline != 0 {
		g.at = len(g.keys)
	}
	if g.at == len(g.keys) { // the end leaves with the last item, however long that is
		s.endKeys()
		return
	}
	s.next = (*Session).nextKey
}

// endKeys ends the answer, or waits if it is empty and the get may wait.
func (s *Session) endKeys() {
	g := &s.get
	if g.monitors && g.found {
		s.monitored()
		return
	}
	if g.found || g.wait == 0 || g.deadline != 0 || !g.anyFetches() {
		s.endGet(endOfAnswer)
		return
	}
	g.deadline = g.until
	s.next = (*Session).startWait
}

func (g *getState) anyFetches() bool {
	for i := range g.keys {
		if g.keys[i].fetches() {
			return true
		}
	}
	return false
}

func (g *getState) anyOpens() bool {
	for i := range g.keys {
		if g.keys[i].opts&optOpen != 0 {
			return true
		}
	}
	return false
}

// find returns which key a waiter's queue belongs to.
func (g *getState) find(q Queue) int {
	for i := range g.keys {
		if g.keys[i].q == q && g.keys[i].fetches() {
			return i
		}
	}
	return 0
}

// deliver answers with an item: at once, or by streaming it.
func (s *Session) deliver(item queue.Item) {
	g := &s.get
	k := &g.keys[g.at]
	g.item = item
	if item.Large() {
		s.startStream()
		return
	}
	before := len(s.out)
	s.appendValue()
	switch err := s.appendPayload(); {
	case err == queue.ErrUnready:
		s.out = s.out[:before]
		s.work(func() { g.loan, g.err = k.q.Borrow(item) }, (*Session).deliverBorrowed)
	case err != nil:
		s.out = s.out[:before]
		s.readFailed(err)
	default:
		s.reply("\r\n")
		s.delivered()
	}
}

// deliverBorrowed answers with an item that a job has borrowed.
func (s *Session) deliverBorrowed() {
	g := &s.get
	if g.err != nil {
		s.readFailed(g.err)
		return
	}
	s.appendValue()
	s.appendLoan(g.loan)
	g.loan = queue.Loan{}
	s.reply("\r\n")
	s.delivered()
}

// appendValue writes the line before an item.
func (s *Session) appendValue() {
	g := &s.get
	out := append(s.out, "VALUE "...)
	if k := &g.keys[g.at]; k.to > 0 {
		out = append(out, g.asked[k.from:k.to]...)
	} else {
		out = append(out, k.q.Name()...)
	}
	out = append(out, ' ')
	out = strconv.AppendUint(out, uint64(g.item.Flags), 10)
	out = append(out, ' ')
	out = strconv.AppendUint(out, uint64(g.item.Size), 10)
	if g.cas {
		out = append(out, ' ')
		out = strconv.AppendUint(out, g.item.Seq, 10)
	}
	s.out = append(out, "\r\n"...)
}

// delivered notes where the item is now: open, or in output that is not sent yet.
func (s *Session) delivered() {
	g := &s.get
	k := &g.keys[g.at]
	switch {
	case k.opts&optPeek != 0:
	case k.opts&optOpen != 0:
		k.q.Hold(&g.item)
		s.opens = append(s.opens, openItem{q: k.q, item: g.item})
		g.opened++
	default:
		s.pending.push(pendingItem{end: unfinished, q: k.q, item: g.item})
	}
	if k.takes() {
		s.env.Counters.GetHits.Add(1)
		k.opts |= optHit
	}
	g.item = queue.Item{}
	g.found = true
	s.keyDone()
}

// readFailed drops an item whose bytes are lost, and tries the next one. It answers with other
// errors.
func (s *Session) readFailed(err error) {
	g := &s.get
	k := &g.keys[g.at]
	if !damaged(err) {
		k.q.Return(g.item)
		g.item = queue.Item{}
		s.failGet(err)
		return
	}
	k.q.Drop(g.item)
	g.item = queue.Item{}
	if g.deadline != 0 {
		s.next = (*Session).startWait
		return
	}
	s.next = (*Session).fetch
}

// damaged reports whether an item's bytes are lost for good.
func damaged(err error) bool {
	return errors.Is(err, queue.ErrDamaged) || errors.Is(err, queue.ErrGone)
}

// failGet ends the answer with an error, and puts back the items in it: to a client, an error means
// that it did not get them.
func (s *Session) failGet(err error) {
	for {
		p, ok := s.pending.popUnfinished()
		if !ok {
			break
		}
		p.q.Return(p.item)
	}
	kept := len(s.opens) - s.get.opened
	for _, o := range s.opens[kept:] {
		o.q.Return(o.item)
	}
	clear(s.opens[kept:])
	s.opens = s.opens[:kept]
	s.endGet(serverError(err))
}

// endGet ends the answer. What was fetched is gone when its last byte is sent.
func (s *Session) endGet(end string) {
	s.reply(end)
	s.pending.finish(s.offset())
	g := &s.get
	for i := range g.keys {
		if k := &g.keys[i]; k.takes() && k.opts&optHit == 0 {
			s.env.Counters.GetMisses.Add(1)
		}
	}
	g.dropKeys()
	g.deadline = 0
	s.next = (*Session).request
}

// dropKeys drops the handles of the queues: they keep names of queues in memory that do not exist.
func (g *getState) dropKeys() {
	clear(g.keys)
	g.keys = g.keys[:0]
	if cap(g.keys) > keepKeys {
		g.keys = nil
	}
	if cap(g.asked) > keepAsked {
		g.asked = nil
	}
}
