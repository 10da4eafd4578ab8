package queue

// A queue's figures: what the log knows, and what only the queue sees.

import (
	"sync"
	"sync/atomic"

	"github.com/darner/darner/server/metrics"
)

// Stats are a queue's figures at one moment. Those counted by the queue itself, from Expired to
// Flushes, begin at the start of the server or at ResetStats; the others survive restarts.
type Stats struct {
	Items, Bytes int64 // waiting; expired ones that nobody came across yet count
	TotalItems   uint64
	Age          int64 // ms since the head was put; 0 when nothing waits
	Delayed      int64 // that wait for their time, put with a delay or returned
	Waiters      int
	Moving       int64 // that have expired or were delivered too often, and are yet to move
	Open         int   // open reads, those of plain gets included

	Expired          uint64
	DeadLetters      uint64 // items delivered too often: moved to another queue, or dropped
	TimedOut         uint64 // reads that ended because they were open for too long
	Transactions     uint64 // items that were held, see Hold
	Canceled         uint64 // of those, returned
	DiscardedFlushed uint64 // items returned after a flush
	DiscardedFull    uint64 // waiting items discarded at a bound, for new ones
	Refused          [metrics.Refusals]uint64
	Flushes          uint64

	Damaged         uint64 // items lost to damage, since the start
	Mended          uint64 // places with a flipped bit, which cost nothing, since the start
	JournalRewrites uint64 // since the start
	Segments        int
	LogSize         int64  // bytes on disk, as du counts them
	Failed          string // why the queue takes no items; empty while all is well
	Created         int64  // Unix ms

	DelayedMemory int64 // bytes that remember Delayed

	pending   int64 // items that are not taken, wherever they are
	hasHead   bool
	headSince int64 // when the head was put, see eras.sinceStart
}

// figures are what is kept of the Stats of a queue that is not loaded.
type figures struct {
	items, bytes       int64
	delayed, moving    int64
	pending            int64 // items that are not taken, wherever they are
	total              uint64
	segments           int
	created, headSince int64
	hasHead            bool
}

func (s Stats) figures() *figures {
	return &figures{
		items: s.Items, bytes: s.Bytes, delayed: s.Delayed, moving: s.Moving,
		pending: s.pending, total: s.TotalItems, segments: s.Segments, created: s.Created,
		headSince: s.headSince, hasHead: s.hasHead,
	}
}

func (f figures) stats() Stats {
	return Stats{
		Items: f.items, Bytes: f.bytes, Delayed: f.delayed, Moving: f.moving,
		pending: f.pending, TotalItems: f.total, Segments: f.segments, Created: f.created,
		headSince: f.headSince, hasHead: f.hasHead,
	}
}

type counts struct{ canceled, flushes uint64 }

// Stats returns the figures: all zero but Waiters when the queue does not exist. It may wait for
// the disk, once, when the queue was not loaded since the start. It does not load the queue, unless
// the figures cannot be read otherwise; for a queue that cannot be loaded they only say why.
func (q *Queue) Stats() Stats {
	s, known := q.KnownStats()
	if !known && q.ReadStats() == nil {
		s, known = q.KnownStats()
	}
	if !known {
		if err := q.Load(); err != nil { // which parks others for it, or says what is wrong
			return Stats{Failed: err.Error()}
		}
		s, _ = q.KnownStats()
	}
	of := q.store
	of.reg.usage.RefreshDir(of.dir())
	s.LogSize = of.reg.usage.Used(of.dir())
	if s.hasHead {
		e := of.reg.eras
		s.Age = max(0, e.sinceStart(e.now())-s.headSince)
	}
	return s
}

// ReadStats reads the figures of a queue that was not loaded since the start, for KnownStats. It
// may wait for the disk.
func (q *Queue) ReadStats() error { return q.store.readFigures() }

// readFigures reads from its files the figures of a store that was not loaded since the start, and
// notes when it is to be cleaned up. It learns nothing about other queues than the store's own:
// those have to be loaded.
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
	g, err := s.reg.logs.glance(s.reg.fs, s.dir())
	if err != nil {
		return err
	}
	s.mu.Lock()
	q := &s.own
	if g.Due > e.now() || g.Unsure { // how many are delayed, or there, is known when it is loaded
		q.due = dueNow
		s.mu.Unlock()
		s.reg.sweeper.noteParked(dueNow)
		return nil
	}
	q.snapshot = &figures{
		items: g.Items, bytes: g.Bytes, pending: g.Items, total: g.Appended,
		segments: g.Segments, created: g.CreatedUnix,
		hasHead: g.Enqueued != 0, headSince: e.sinceStart(g.Enqueued + e.shiftBefore(g.Enqueued)),
	}
	q.due = earliest(g.Expires, s.agesLocked())
	if most := s.settings().MaxAge.Milliseconds(); most > 0 && g.Enqueued != 0 {
		q.due = earliest(q.due, max(dueNow, g.Enqueued+e.shiftBefore(g.Enqueued)+most))
	}
	if g.Waste {
		q.due = dueNow
	}
	s.mu.Unlock()
	s.reg.sweeper.noteParked(s.parkedDue())
	return nil
}

// isKnown reports whether the figures are known, or the store is loaded or does not exist.
func (s *store) isKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log != nil || s.own.snapshot != nil || !s.exists
}

// ReadStatsOf is ReadStats of several queues, some at a time, so that their Stats need not wait for
// the disk one by one. Errors come again from Stats.
func ReadStatsOf[Q interface{ ReadStats() error }](queues []Q) {
	const atATime = 4
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(atATime, len(queues)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(queues)); i = next.Add(1) - 1 {
				_ = queues[i].ReadStats()
			}
		})
	}
	workers.Wait()
}

// KnownStats returns the figures that are known without the disk: all but LogSize and Age. It is
// false for a queue that was not loaded since the start, and for which ReadStats was not called.
func (q *Queue) KnownStats() (Stats, bool) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	return q.knownStatsLocked()
}

func (q *Queue) knownStatsLocked() (Stats, bool) {
	of := q.store
	var s Stats
	switch {
	case of.loadedLocked():
		s = q.statsLocked()
	case q.snapshot != nil && of.loadFailure == nil:
		s = q.snapshot.stats()
		q.addCountsLocked(&s)
	case of.exists:
		return s, false
	}
	s.Waiters = q.waiters.n
	if of.broken != nil {
		s.Failed = of.broken.Error()
	}
	return s, true
}

// statsLocked returns the figures of a loaded queue.
func (q *Queue) statsLocked() Stats {
	var s Stats
	if it, _ := q.peekHeadLocked(); it.Seq != 0 {
		e := q.store.reg.eras
		s.hasHead, s.headSince = true, e.sinceStart(it.Enqueued+q.store.shiftLocked(it))
	}
	waiting := q.waitingLocked()
	s.Items, s.Bytes = waiting.items, waiting.bytes
	s.pending, _ = q.cursor.Pending()
	if q.agenda != nil {
		s.Delayed, s.DelayedMemory = q.delayedLocked().items, q.agenda.memory()
	}
	s.Moving = q.stuckLocked() + int64(len(q.moving))
	s.Open = q.opens.n
	q.addCountsLocked(&s)
	q.store.addStatsLocked(&s)
	return s
}

// addStatsLocked adds what the log knows.
func (s *store) addStatsLocked(to *Stats) {
	is := s.log.Stats()
	to.TotalItems = is.Appended
	to.Segments = is.Segments
	to.Created = is.CreatedUnix
	to.Damaged += is.Damaged
	to.Mended += is.Mended
	to.JournalRewrites += is.Rewrites
	if err := s.log.Err(); err != nil {
		to.Failed = err.Error()
	}
}

// snapshotLocked keeps the figures of all queues. It is called before detachLocked.
func (s *store) snapshotLocked() {
	for q := range s.queuesLocked() {
		q.snapshot = q.statsLocked().figures()
	}
}

// peekHeadLocked returns the head, the zero Item if there is none, and notes when it expires. It
// drops what has expired before the head; again is popLocked's ErrUnready.
func (q *Queue) peekHeadLocked() (it Item, again bool) {
	it, ok, err := q.popLocked()
	again = err == ErrUnready
	switch {
	case ok:
		q.putBackLocked(it)
		q.due = q.endsLocked(it)
	case again:
		q.due = dueNow
	case err != nil:
		q.due = q.store.reg.eras.now() + retryLater.Milliseconds()
	default:
		q.due = 0
		if q == &q.store.own {
			q.due = q.store.agesLocked()
		}
	}
	if at := q.cursor.Expires(q.store.settings().MaxAge.Milliseconds()); at != 0 {
		q.due = earliest(q.due, max(dueNow, at-q.store.reg.eras.behind()))
	}
	if q.passed.items > 0 {
		q.due = earliest(q.due, q.unstuckLocked())
	}
	if a := q.agenda; a != nil && a.later.n > 0 {
		due := q.store.reg.eras.now() + a.later.min().at - q.store.reg.steady()
		q.due = earliest(q.due, max(dueNow, due))
	}
	return it, again
}

// earliest is the earlier of two times, of which 0 is never.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (q *Queue) addCountsLocked(s *Stats) {
	s.Transactions, s.Canceled, s.Flushes = q.held.Load(), q.counts.canceled, q.counts.flushes
	s.Damaged, s.Mended = q.store.damaged, q.store.mended
	s.JournalRewrites = q.store.rewrites
	if l := q.lost; l != nil {
		s.Expired, s.DiscardedFull, s.DiscardedFlushed = l.expired, l.discarded, l.flushed
		s.Refused, s.TimedOut = l.refused, l.timedOut
		s.DeadLetters = l.dead
		s.Damaged += l.damaged
	}
}

// ResetStats zeroes what the queue counts itself, see Stats.
func (q *Queue) ResetStats() {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	q.counts = counts{}
	q.held.Store(0)
	if q.lost != nil {
		q.lost = &losses{damaged: q.lost.damaged}
	}
}
