package memcache

// STATS. The answer may be many megabytes, so jobs build it in slices, each after the one before it
// was sent.

import "github.com/darner/darner/server/queue"

const (
	badStats = "CLIENT_ERROR stats takes nothing, queue [name], settings or reset\r\n"

	// statsSlice ends a slice after the queue that reaches it. One queue's lines are far shorter
	// than the rest of the chunk.
	statsSlice = chunkSize - 16<<10
)

// StatsFormat is what "stats" answers.
type StatsFormat uint8

const (
	StatsFull   StatsFormat = iota
	StatsServer             // the server's lines alone, whatever the number of queues
	StatsDarner             // the original Darner's few lines alone
)

// statsAnswer is the current answer.
type statsAnswer struct {
	queues []Queue // that have yet to come
	lines  func(l *statLines, q Queue)
	text   []byte // the slice that a job built, in the session's chunk
}

// statsCommand answers a word that it does not know as a memcached without items does: tools ask
// for slabs, items and sizes, and read until END comes.
func (s *Session) statsCommand(args []byte) {
	var w [maxWords][]byte
	n := splitWords(args, &w)
	switch {
	case n == 0:
		s.beginStats(s.env.live().Dialect.Stats.lines())
		s.work(s.globalStats, (*Session).emitStats)
	case n == 1 && isWord(w[0], "settings"):
		s.settings()
	case n == 1 && isWord(w[0], "reset"):
		s.answerAfter(s.resetStats, "RESET\r\n")
	case n == 1 && isWord(w[0], "queue"):
		s.beginStats((*statLines).depth)
		s.work(s.listQueues, (*Session).emitStats)
	case n == 2 && isWord(w[0], "queue"):
		s.oneQueue(w[1])
	case isWord(w[0], "settings"), isWord(w[0], "reset"), isWord(w[0], "queue"),
		isWord(w[0], "noreply"):
		s.reply(badStats)
	default:
		s.reply(endOfAnswer)
	}
}

func (s *Session) beginStats(lines func(*statLines, Queue)) { s.stats = &statsAnswer{lines: lines} }

// crawlerCommand answers "lru_crawler metadump" as a memcached without items does: it dumps a
// cache, and to read a queue is to empty it. memcached-tool waits for END.
func (s *Session) crawlerCommand(args []byte) {
	if word, _ := nextWord(args); isWord(word, "metadump") {
		s.reply(endOfAnswer)
		return
	}
	s.reply("ERROR\r\n")
}

// oneQueue answers with no lines for a queue that does not exist.
func (s *Session) oneQueue(word []byte) {
	q, problem := s.queueArgument(word)
	if problem != "" {
		s.reply(problem)
		return
	}
	s.beginStats((*statLines).queue)
	if q.Exists() {
		s.stats.queues = append(s.stats.queues, q)
	}
	s.next = (*Session).moreStats
}

func (s *Session) settings() {
	for _, x := range s.env.Settings() {
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

// globalStats is the job that builds the lines of the server, and lists the queues. Queues that are
// known follow in the same slice, so that a short answer leaves in one write: some clients read
// once. None that has to be read from the disk holds up the server's lines.
func (s *Session) globalStats() {
	l := newStatLines(s.useChunk()[:0])
	l.global(s.env, s.sumQueues())
	if s.env.live().Dialect.Stats == StatsServer {
		s.stats.queues = nil
	}
	for len(s.stats.queues) > 0 && len(l.out) < statsSlice {
		if _, known := s.stats.queues[0].KnownStats(); !known {
			break
		}
		s.nextQueue(&l)
	}
	s.stats.text = l.out
}

// listQueues is the job that begins the answer of queues alone.
func (s *Session) listQueues() { s.sumQueues() }

func (s *Session) sumQueues() queue.Sum {
	ctx, done := s.untilDrain()
	defer done()
	return s.env.Registry.Sum(ctx, func(q Queue) { s.stats.queues = append(s.stats.queues, q) })
}

// queueStats is the job that builds a slice of the queues' lines.
func (s *Session) queueStats() {
	const ahead = 32 // about as many queues as fit in a slice
	l := newStatLines(s.useChunk()[:0])
	for n := 0; len(s.stats.queues) > 0 && len(l.out) < statsSlice && !s.draining.Load(); n++ {
		if n%ahead == 0 {
			queue.ReadStatsOf(s.stats.queues[:min(ahead, len(s.stats.queues))])
		}
		s.nextQueue(&l)
	}
	s.stats.text = l.out
}

// nextQueue appends the next queue's lines.
func (s *Session) nextQueue(l *statLines) {
	q := s.stats.queues[0]
	s.stats.queues = s.stats.queues[1:]
	s.stats.lines(l, q)
}
