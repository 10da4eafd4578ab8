package memcache

// MONITOR, as Kestrel has it: a get that goes on. Each item is opened and is an answer of its own,
// with an END; one more END says that no other comes. CONFIRM closes what was opened.

import "math"

const (
	badMonitor = "CLIENT_ERROR monitor wants a queue, a number of seconds, and takes a number of items\r\n"
	badConfirm = "CLIENT_ERROR confirm wants a queue and a number of items\r\n"
)

// monitorCommand reads "<queue> <seconds> [max]".
func (s *Session) monitorCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	seconds, ok := parseUint(w[1], math.MaxUint64)
	most := uint64(math.MaxUint64)
	if ok && n == 3 {
		most, ok = parseUint(w[2], math.MaxUint64)
	}
	if n < 2 || n > 3 || !ok {
		s.reply(badMonitor)
		return
	}
	q, problem := s.queueArgument(w[0])
	if problem != "" {
		s.reply(problem)
		return
	}
	if err := s.refuses(false); err != nil {
		s.reply(serverError(err))
		return
	}
	g := &s.get
	*g = getState{
		keys:     append(g.keys[:0], getKey{q: q, opts: optOpen}),
		asked:    g.asked[:0],
		wait:     int64(min(seconds, maxWait/1000)) * 1000,
		monitors: true,
		most:     most,
	}
	g.until = s.env.Steady() + g.wait
	s.nextMonitored()
}

// monitored ends the answer of one item, and goes on when the client has room for more.
func (s *Session) monitored() {
	s.reply(endOfAnswer)
	g := &s.get
	g.keys[0].opts &^= optHit
	g.at, g.deadline, g.opened, g.found, g.reclaimed = 0, 0, 0, false, false
	s.next = (*Session).nextMonitored
}

// nextMonitored begins the get of the next item, or ends the monitor: when the number or the time
// is reached, when no more may be open here, and when the server takes no gets any more.
func (s *Session) nextMonitored() {
	g := &s.get
	if g.most > 0 && s.env.Steady() < g.until && s.goesOn() && s.mayOpen() {
		g.most--
		s.next = (*Session).loadKeys
		return
	}
	s.reply(endOfAnswer)
	g.dropKeys()
	s.next = (*Session).request
}

// confirmCommand reads "<queue> <count>".
func (s *Session) confirmCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	count, ok := parseUint(w[1], math.MaxUint64)
	if n != 2 || !ok {
		s.reply(badConfirm)
		return
	}
	q, problem := s.queueArgument(w[0])
	if problem != "" {
		s.reply(problem)
		return
	}
	switch closed, err := s.confirmOldest(q, count); {
	case err != nil:
		s.reply(serverError(err))
	case closed == 0:
		s.reply("ERROR\r\n")
	default:
		s.reply(endOfAnswer)
	}
}
