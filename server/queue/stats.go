package queue

// A queue's figures: what the log knows, and what only the queue sees.

import (
	"sync"
	"sync/atomic"
)

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

	waits bool  // there is a head
	since int64 // when it was set, see eras.sinceStart
}

// figures are what is kept of the Stats of a queue that is not loaded.
type figures struct {
	items, bytes   int64
	total          uint64
	segments       int
	created, since int64
	waits          bool
}

func (s Stats) figures() *figures {
	return &figures{s.Items, s.Bytes, s.TotalItems, s.Segments, s.Created, s.since, s.waits}
}

func (f figures) stats() Stats {
	return Stats{Items: f.items, Bytes: f.bytes, TotalItems: f.total, Segments: f.segments, Created: f.created, since: f.since, waits: f.waits}
}

type counts struct {
	expired, fetched, returned, discarded, discardedFull, flushes uint64
	damaged                                                       uint64 // what Drop dropped
}

// Stats returns the figures: all zero but Waiters when the queue does not exist. It may wait for
// the disk, once, when the queue was not loaded since the start; it is not loaded for it, and a parked
// queue stays parked. Of a queue that cannot be loaded it is only known why.
func (q *Queue) Stats() Stats {
	s, known := q.Known()
	if !known && q.Look() == nil {
		s, known = q.Known()
	}
	if !known {
		if err := q.Load(); err != nil { // which finds room for it, or says what is wrong
			return Stats{Failed: err.Error()}
		}
		s, _ = q.Known()
	}
	of := q.store
	of.reg.usage.SettleDir(of.dir())
	s.LogSize = of.reg.usage.Used(of.dir())
	if s.waits {
		e := of.reg.eras
		s.Age = max(0, e.sinceStart(e.now())-s.since)
	}
	return s
}

// Look has the figures of a queue that was not loaded since the start, so that Known knows them. It may wait for the
// disk.
func (q *Queue) Look() error { return q.store.readFigures() }

// look has the figures of a store that was not loaded since the start from its files, and notes when it
// is to be seen to. Of queues other than its own it knows nothing: those have to be loaded.
func (s *store) readFigures() error {
	if s.isKnown() {
		return nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.isKnown() {
		return nil
	}
	e := s.reg.eras
	g, err := s.reg.logs.look(s.reg.fs, s.dir())
	if err != nil {
		return err
	}
	s.mu.Lock()
	q := &s.own
	q.snapshot = &figures{
		items: g.Items, bytes: g.Bytes, total: g.Appended, segments: g.Segments, created: g.CreatedUnix,
		waits: g.Enqueued != 0, since: e.sinceStart(g.Enqueued + e.shiftBefore(g.Enqueued)),
	}
	if q.due = g.Expires; g.Waste {
		q.due = dueNow
	}
	s.mu.Unlock()
	s.reg.sweeper.noteParked(s.parkedDue())
	return nil
}

// isKnown reports whether somebody has looked at the store, or it is loaded or not there.
func (s *store) isKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log != nil || s.own.snapshot != nil || !s.exists
}

// LookAt has the figures of queues that nobody has looked at since the start, some at a time, so that their
// Stats need not wait for the disk one by one. That it failed Stats says.
func LookAt[Q interface{ Look() error }](queues []Q) {
	const atATime = 4
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(atATime, len(queues)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(queues)); i = next.Add(1) - 1 {
				_ = queues[i].Look()
			}
		})
	}
	workers.Wait()
}

// Known returns the figures as far as they can be had without the disk, all but LogSize and Age. It is false
// for a queue that nobody has looked at since the start.
func (q *Queue) Known() (Stats, bool) {
	of := q.store
	of.mu.Lock()
	defer of.mu.Unlock()
	var s Stats
	switch {
	case of.log != nil:
		s = q.measure()
	case q.snapshot != nil && of.unready == nil:
		s = q.snapshot.stats()
		q.count(&s)
	case of.exists:
		return s, false
	}
	s.Waiters = q.line.n
	if of.broken != nil {
		s.Failed = of.broken.Error()
	}
	return s, true
}

// measure takes the figures of a loaded queue. Store.mu is held.
func (q *Queue) measure() Stats {
	var s Stats
	if it, _ := q.peekHead(); it.Seq != 0 {
		s.waits, s.since = true, q.store.reg.eras.sinceStart(it.Enqueued+q.store.shiftLocked(it))
	}
	items, bytes := q.head.Pending()
	s.Items, s.Bytes = items-q.held.items, max(0, bytes-q.held.bytes)
	s.Open = q.open
	q.count(&s)
	q.store.measure(&s)
	return s
}

// measure adds what the log knows. Store.mu is held.
func (s *store) measure(to *Stats) {
	is := s.log.Stats()
	to.TotalItems = is.Appended
	to.Segments = is.Segments
	to.Created = is.CreatedUnix
	to.Damaged += is.Damaged
	to.JournalRewrites += is.Rewrites
	if err := s.log.Err(); err != nil {
		to.Failed = err.Error()
	}
}

// keepFigures takes those of all queues, ahead of detach. Store.mu is held.
func (s *store) keepFigures() {
	for q := range s.queuesLocked() {
		q.snapshot = q.measure().figures()
	}
}

// peekHead returns the head, the zero Item when there is none, and notes when it expires. What has expired
// before it is dropped; again is pop's ErrUnready.
func (q *Queue) peekHead() (it Item, again bool) {
	it, ok, err := q.pop()
	again = err == ErrUnready
	switch {
	case ok:
		q.putBack(it)
		q.due = q.store.expiryLocked(it)
	case again:
		q.due = dueNow
	case err != nil:
		q.due = q.store.reg.eras.now() + retryLater.Milliseconds()
	default:
		q.due = 0
	}
	return it, again
}

func (q *Queue) count(s *Stats) {
	c := &q.counts
	s.Expired, s.Transactions, s.Canceled = c.expired, c.fetched, c.returned
	s.Discarded, s.GivenUp, s.Flushes = c.discarded+c.discardedFull, c.discardedFull, c.flushes
	s.Damaged, s.JournalRewrites = c.damaged+q.store.damaged, q.store.rewrites
}

// ResetStats sets to zero what Stats says is the queue's own count.
func (q *Queue) ResetStats() {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	q.counts = counts{damaged: q.counts.damaged}
}
