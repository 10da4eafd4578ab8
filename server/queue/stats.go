package queue

// A queue's figures: what the log knows, and what only the queue sees.

import "time"

// Stats are a queue's figures at one moment. Those counted by the queue itself, from Expired to
// Flushes, begin at the start of the server or at ResetStats; the others survive restarts.
type Stats struct {
	Items, Bytes int64 // waiting: what could be fetched now, and expired ones nobody came across yet
	TotalItems   uint64
	Age          int64 // ms since the head was set; 0 when nothing waits
	Waiters      int
	Open         int // open reads, those of plain gets included

	Expired      uint64
	Transactions uint64 // open reads begun
	Canceled     uint64 // open reads that ended with Return
	Discarded    uint64 // items returned that were flushed meanwhile, and those given up
	GivenUp      uint64 // waiting items that made room for new ones at a bound
	Flushes      uint64

	Damaged         uint64 // items lost to damage, since the start
	JournalRewrites uint64 // since the start
	Segments        int
	LogSize         int64  // bytes on disk, as du counts them
	Failed          string // why the queue takes no items; empty while all is well
	Created         int64  // Unix ms

	since int64 // when the head was set, Unix ms
}

type counts struct {
	expired, fetched, returned, discarded, discardedFull, flushes uint64
	damaged, rewrites                                             uint64 // of logs that were parked; damaged also what Drop dropped
}

// Stats returns the figures: all zero but Waiters when the queue does not exist. It may wait for
// the disk, once, when the queue was not loaded since the start; a parked queue stays parked. Of a queue that
// cannot be loaded it is only known why.
func (q *Queue) Stats() Stats {
	s, known := q.known()
	if !known {
		if err := q.Load(); err != nil {
			return Stats{Failed: err.Error()}
		}
		s, _ = q.known()
	}
	q.reg.usage.SettleDir(q.dir())
	s.LogSize = q.reg.usage.Used(q.dir())
	if s.since != 0 {
		s.Age = max(0, time.Now().UnixMilli()-s.since)
	}
	return s
}

// known returns the figures as far as they can be had without the disk.
func (q *Queue) known() (Stats, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var s Stats
	switch {
	case q.log != nil:
		s = q.measure()
	case q.snapshot != nil && q.unready == nil:
		s = *q.snapshot
		q.count(&s)
	case q.exists:
		return s, false
	}
	s.Waiters = q.line.n
	if q.broken != nil {
		s.Failed = q.broken.Error()
	}
	return s, true
}

// measure takes the figures of a loaded queue.
func (q *Queue) measure() Stats {
	var s Stats
	if it, ok, _ := q.pop(); ok {
		q.putBack(it)
		s.since = it.Enqueued
	}
	items, bytes := q.head.Pending()
	s.Items, s.Bytes = items-q.held.items, max(0, bytes-q.held.bytes)
	s.Open = q.open
	l := q.log.Stats()
	s.TotalItems = l.Appended
	s.Segments = l.Segments
	s.Created = l.CreatedUnix
	q.count(&s)
	s.Damaged += l.Damaged
	s.JournalRewrites += l.Rewrites
	if err := q.log.Err(); err != nil {
		s.Failed = err.Error()
	}
	return s
}

func (q *Queue) count(s *Stats) {
	c := &q.counts
	s.Expired, s.Transactions, s.Canceled = c.expired, c.fetched, c.returned
	s.Discarded, s.GivenUp, s.Flushes = c.discarded+c.discardedFull, c.discardedFull, c.flushes
	s.Damaged, s.JournalRewrites = c.damaged, c.rewrites
}

// ResetStats sets to zero what Stats says is the queue's own count.
func (q *Queue) ResetStats() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.counts = counts{damaged: q.counts.damaged, rewrites: q.counts.rewrites}
}
