package memcache

// DUMP_STATS and DUMP_CONFIG: what is known of queues, in groups, as Kestrel writes it.
//
//	queue 'work' {
//	  items=2
//	  bytes=10
//	}
//	END

const badDumpConfig = "CLIENT_ERROR dump_config takes nothing\r\n"

// dumpStatsCommand reads "[queue ...]": without names it is about all queues.
func (s *Session) dumpStatsCommand(args []byte) {
	word, rest := nextWord(args)
	s.beginStats((*statLines).dumpStats)
	if len(word) == 0 {
		s.work(s.listQueues, (*Session).emitStats)
		return
	}
	for ; len(word) > 0; word, rest = nextWord(rest) {
		q, problem := s.queueArgument(word)
		if problem != "" {
			s.stats = nil
			s.reply(problem)
			return
		}
		if q.Exists() {
			s.stats.queues = append(s.stats.queues, q)
		}
	}
	s.next = (*Session).moreStats
}

func (s *Session) dumpConfigCommand(args []byte) {
	if word, _ := nextWord(args); len(word) > 0 {
		s.reply(badDumpConfig)
		return
	}
	of := s.env.QueueSettings
	if of == nil {
		s.reply(endOfAnswer)
		return
	}
	s.beginStats(func(l *statLines, q Queue) { l.dumpConfig(q, of(q.Name())) })
	s.work(s.listQueues, (*Session).emitStats)
}

// dumpStats writes the figures of a queue by Kestrel's names. journal_rotations are the segments
// before the newest, which Kestrel's rotated files come nearest to.
func (l *statLines) dumpStats(of Queue) {
	q := of.Stats()
	l.beginGroup(of)
	l.number("items", q.Items)
	l.number("bytes", q.Bytes)
	l.counter("total_items", q.TotalItems)
	l.number("logsize", q.LogSize)
	l.counter("expired_items", q.Expired)
	l.number("mem_items", 0)
	l.number("mem_bytes", 0)
	l.number("age", q.Age)
	l.counter("discarded", q.DiscardedFull+q.DiscardedFlushed)
	l.number("waiters", int64(q.Waiters))
	l.number("open_transactions", int64(q.Open))
	l.counter("transactions", q.Transactions)
	l.counter("canceled_transactions", q.Canceled)
	l.counter("total_flushes", q.Flushes)
	l.counter("journal_rewrites", q.JournalRewrites)
	l.number("journal_rotations", int64(max(q.Segments, 1)-1))
	l.endGroup()
}

func (l *statLines) dumpConfig(of Queue, settings []Setting) {
	l.beginGroup(of)
	for _, x := range settings {
		l.text(x.Name, x.Value)
	}
	l.endGroup()
}

func (l *statLines) beginGroup(of Queue) {
	l.out = append(append(append(l.out, "queue '"...), of.Name()...), "' {\r\n"...)
	l.prefix, l.between = "  ", "="
}

func (l *statLines) endGroup() { l.out = append(l.out, "}\r\n"...) }
