package memcache

// STATS. The answer may be many megabytes, so jobs build it in slices, each after the one before it
// was sent.

import (
	"strconv"

	"github.com/darner/darner/server/queue"
)

const (
	badStats = "CLIENT_ERROR stats takes nothing, queue <name>, settings or reset\r\n"

	// statsSlice ends a slice after the queue that reaches it. One queue's lines are far shorter
	// than the rest of the chunk.
	statsSlice = chunkSize - 16<<10
)

// statsAnswer is the current answer.
type statsAnswer struct {
	queues []Queue // that have yet to come
	text   []byte  // the slice that a job built, in the session's chunk
}

func (s *Session) statsCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	switch {
	case n == 0:
		s.stats = &statsAnswer{}
		s.work(s.globalStats, (*Session).emitStats)
	case n == 1 && isWord(w[0], "settings"):
		s.settings()
	case n == 1 && isWord(w[0], "reset"):
		s.answerAfter(s.resetStats, "RESET\r\n")
	case n == 2 && isWord(w[0], "queue"):
		s.oneQueue(w[1])
	default:
		s.reply(badStats)
	}
}

// oneQueue answers with no lines for a queue that does not exist.
func (s *Session) oneQueue(word []byte) {
	q, problem := s.queueArgument(word)
	if problem != "" {
		s.reply(problem)
		return
	}
	s.stats = &statsAnswer{}
	if q.Exists() {
		s.stats.queues = append(s.stats.queues, q)
	}
	s.next = (*Session).moreStats
}

func (s *Session) settings() {
	for _, x := range s.env.Settings {
		s.out = append(append(append(s.out, "STAT "...), x.Name...), ' ')
		s.out = append(append(s.out, x.Value...), "\r\n"...)
	}
	s.reply(endOfAnswer)
}

func (s *Session) resetStats() error {
	s.env.Counters.Reset()
	s.env.Registry.ResetStats()
	return nil
}

// emitStats is the step that sends a slice.
func (s *Session) emitStats() {
	s.out = append(s.out, s.stats.text...)
	s.stats.text = nil
	s.next = (*Session).moreStats
}

// moreStats has the next slice built, or ends the answer.
func (s *Session) moreStats() {
	if len(s.stats.queues) > 0 && !s.draining.Load() {
		s.work(s.queueStats, (*Session).emitStats)
		return
	}
	end := endOfAnswer
	if s.draining.Load() {
		end = serverError(errStopping)
	}
	s.stats = nil
	s.freeChunk()
	s.reply(end)
	s.next = (*Session).request
}

// globalStats is the job that builds the lines of the server, and lists the queues.
func (s *Session) globalStats() {
	ctx, done := s.untilDrain()
	defer done()
	sum := s.env.Registry.Sum(ctx, func(q Queue) { s.stats.queues = append(s.stats.queues, q) })
	l := statLines{out: s.useChunk()[:0], prefix: "STAT "}
	l.global(s.env, sum)
	s.stats.text = l.out
}

// queueStats is the job that builds a slice of the queues' lines.
func (s *Session) queueStats() {
	const ahead = 32 // about as many queues as fit in a slice
	l := statLines{out: s.useChunk()[:0]}
	for n := 0; len(s.stats.queues) > 0 && len(l.out) < statsSlice && !s.draining.Load(); n++ {
		if n%ahead == 0 {
			queue.ReadStatsOf(s.stats.queues[:min(ahead, len(s.stats.queues))])
		}
		q := s.stats.queues[0]
		s.stats.queues = s.stats.queues[1:]
		l.prefix = "STAT queue_" + q.Name() + "_"
		l.queue(q.Stats())
	}
	s.stats.text = l.out
}

// statLines appends "STAT name value" lines.
type statLines struct {
	out    []byte
	prefix string
}

func (l *statLines) text(name, value string) {
	l.out = append(append(l.out, l.prefix...), name...)
	l.out = append(append(l.out, ' '), value...)
	l.out = append(l.out, "\r\n"...)
}

func (l *statLines) number(name string, n int64)   { l.text(name, strconv.FormatInt(n, 10)) }
func (l *statLines) counter(name string, n uint64) { l.text(name, strconv.FormatUint(n, 10)) }

func (l *statLines) global(e *Env, sum queue.Sum) {
	c := e.Counters
	l.number("uptime", e.Steady()/1000)
	l.number("time", e.Now()/1000)
	l.text("version", e.Version)
	l.number("pid", int64(e.PID))
	l.number("curr_items", sum.Items)
	l.counter("total_items", sum.TotalItems)
	l.number("bytes", sum.Bytes)
	l.counter("curr_connections", c.Connections.Load())
	l.counter("total_connections", c.TotalConnections.Load())
	l.counter("rejected_connections", c.RejectedConnections.Load())
	l.counter("cmd_get", c.CmdGet.Load())
	l.counter("cmd_set", c.CmdSet.Load())
	l.counter("cmd_peek", c.CmdPeek.Load())
	l.counter("get_hits", c.GetHits.Load())
	l.counter("get_misses", c.GetMisses.Load())
	l.counter("bytes_read", c.BytesRead.Load())
	l.counter("bytes_written", c.BytesWritten.Load())
	l.counter("queue_creates", sum.Creates)
	l.counter("queue_deletes", sum.Deletes)
	l.counter("queue_expires", sum.Expired)
	l.number("disk_bytes", sum.DiskBytes)
	l.number("disk_limit", sum.DiskLimit)
	l.counter("syncs", sum.Syncs)
	l.number("uncounted_queues", int64(sum.Uncounted))
}

func (l *statLines) queue(q queue.Stats) {
	failed := "no"
	if q.Failed != "" {
		failed = q.Failed
	}
	l.number("items", q.Items)
	l.number("bytes", q.Bytes)
	l.counter("total_items", q.TotalItems)
	l.number("logsize", q.LogSize)
	l.counter("expired_items", q.Expired)
	l.number("mem_items", 0)
	l.number("mem_bytes", 0)
	l.number("age", q.Age)
	l.number("waiters", int64(q.Waiters))
	l.number("open_transactions", int64(q.Open))
	l.counter("transactions", q.Transactions)
	l.counter("canceled_transactions", q.Canceled)
	l.counter("discarded", q.Discarded)
	l.counter("discarded_full", q.DiscardedFull)
	l.counter("total_flushes", q.Flushes)
	l.counter("journal_rewrites", q.JournalRewrites)
	l.number("segments", int64(q.Segments))
	l.counter("damaged_records", q.Damaged)
	l.text("failed", failed)
	l.number("create_time", q.Created)
}
