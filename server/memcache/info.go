package memcache

// INFO: what is known of a queue's head, which stays where it is.
//
//	STAT sequence 7
//	STAT size 13
//	STAT flags 0
//	STAT enqueued 1796000000000
//	STAT expires 0
//	STAT due 0
//	STAT deliveries 2
//	STAT from orders undeliverable 17 5
//	END

import (
	"strconv"

	"github.com/darner/darner/server/queue"
)

const badInfo = "CLIENT_ERROR info wants a queue\r\n"

func (s *Session) infoCommand(args []byte) {
	var w [maxWords][]byte
	if splitWords(args, &w) != 1 {
		s.reply(badInfo)
		return
	}
	q, problem := s.queueArgument(w[0])
	if problem != "" {
		s.reply(problem)
		return
	}
	var head queue.Info
	var ok bool
	var err error
	s.work(func() { head, ok, err = q.Info() }, func(s *Session) {
		s.next = (*Session).request
		switch {
		case err != nil:
			s.reply(serverError(err))
			return
		case ok:
			l := newStatLines(s.out)
			l.info(head)
			s.out = l.out
		}
		s.reply(endOfAnswer)
	})
}

func (l *statLines) info(head queue.Info) {
	l.counter("sequence", head.Seq)
	l.number("size", head.Size)
	l.number("flags", int64(head.Flags))
	l.number("enqueued", head.Enqueued)
	l.number("expires", head.Expires)
	l.number("due", head.Due)
	l.number("deliveries", int64(head.Deliveries))
	l.text("from", origin(head.Origin))
}

// origin is where an item came from, in words: the queue, why, its number there and how often it
// was delivered there. No name has a blank. For one that was not moved it is a dash, and a question
// mark where nobody knows.
func origin(from *queue.Origin) string {
	switch {
	case from == nil:
		return "-"
	case from.Log == "":
		return "?"
	}
	return from.Log + " " + from.Why.String() + " " + strconv.FormatUint(from.Seq, 10) + " " +
		strconv.FormatUint(uint64(from.Deliveries), 10)
}
