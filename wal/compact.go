package wal

// Compaction, the policy: which sealed segments to rewrite, and when. compact_write.go does the
// rewriting.
//
// A segment without live records is deleted, wherever it is in the log. A segment that is half
// taken is rewritten to its live records, together with neighbours that have become small. A
// segment that will not be read soon gets its cold form. If the log still uses much more than its
// live records need, the segment with the smallest live share is rewritten. So disk use is bounded
// in whatever order items are taken, and a queue that is kept short is never rewritten.

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/offset"
)

// compactor is the compaction of one log.
type compactor struct {
	l *Log

	working    sync.Mutex   // held by run, and by Close
	asked      atomic.Bool  // run waits in the background's lane
	interrupts atomic.Int32 // callers of interrupt that wait
	timer      clock.Timer  // fires when readers may have come to rest

	// Log.mu guards the rest.
	forSpace  bool   // an item found the disk full, and compaction has not looked for space since
	surveyed  uint64 // Log.next at the last survey
	scattered int64  // bytes taken out of order since compaction was last requested
}

const (
	// newest is the number of newest segments that do not get their cold form.
	newest = 2

	// nearSegments is the number of segments after its own that a moving reader is expected to
	// reach soon.
	nearSegments = 2

	// quietAfter is how long a reader stays at its place before segments near it may be rewritten.
	quietAfter = 5 * time.Second

	// coldSize is how many bytes of records go into one cold segment, before compression, even if
	// segments are smaller: with fewer blocks, parity would cost more than its share.
	coldSize = 2 << 20

	// smallPart: a segment with less than this part of coldTarget left is joined with others.
	smallPart = 8
)

// coldTarget is the most bytes of records that go into one cold segment.
func (k *compactor) coldTarget() int64 { return max(coldSize, k.l.o.SegmentSize) }

// liveShare is how much of a segment is live: of its records or, if there is much else in it, of
// its bytes. Uploads that broke off leave what is no record.
func (c *candidate) liveShare() float64 {
	switch {
	case c.records == 0:
		return 0
	case c.hollow:
		return float64(c.raw) / float64(c.size)
	}
	return float64(c.live) / float64(c.records)
}

// mostlyDead reports whether so little of a segment is live that it should be rewritten.
func (c *candidate) mostlyDead() bool { return 2*c.liveShare() <= 1 }

// nearlyDead reports whether so little of a segment is live that it is rewritten even while a
// reader rests in it: little is written for the space that it returns.
func (c *candidate) nearlyDead() bool { return nearlyShare*c.liveShare() <= 1 }

// slack is how many bytes the log may use beyond its live records: a tenth of them, and two
// segments.
func (k *compactor) slack(live int64) int64 { return live/10 + 2*k.l.o.SegmentSize }

// request has the background look for something to compact.
func (k *compactor) request() {
	if !k.asked.Swap(true) {
		k.l.background.compactLane.push(k.run)
	}
}

// run does one piece of work. While there may be more, it requests another turn, so that other logs
// get theirs in between.
func (k *compactor) run() {
	k.asked.Store(false)
	if k.once() {
		k.request()
	}
}

// once rewrites one run of segments, if any is worth it. It reports whether it did.
func (k *compactor) once() (more bool) {
	l := k.l
	k.working.Lock()
	defer k.working.Unlock()
	if l.Err() != nil {
		return false
	}
	if k.mend() || k.mendBody() {
		return true
	}
	l.saveUnsaved()
	s := k.survey()
	run := s.choose()
	switch err := k.rewriteRun(run); {
	case errors.Is(err, ErrClosed):
	case errors.Is(err, errInterrupted):
		return true
	case disk.IsFull(err) && len(run) > 1 && !s.forSpace:
		l.mu.Lock()
		k.forSpace = true
		l.mu.Unlock()
		return true
	case disk.IsFull(err) || disk.IsTransient(err):
		if k.isForSpace() { // an item waits for space, and something may be taken meanwhile
			k.lookAgainLater()
		}
	case err != nil:
		k.skip(run)
		l.log.Error("compaction failed; the queue keeps its disk space", "error", err)
	case len(run) > 0:
		return true
	case s.wait:
		k.lookAgainLater()
	default:
		l.mu.Lock()
		k.forSpace = false
		l.mu.Unlock()
	}
	return false
}

// interrupt waits until compaction has stopped what it is doing. Compaction goes on after release.
func (k *compactor) interrupt() (release func()) {
	k.interrupts.Add(1)
	k.working.Lock()
	k.interrupts.Add(-1)
	return k.working.Unlock
}

// lookAgain is called by the timer.
func (k *compactor) lookAgain() {
	k.l.mu.Lock()
	k.forSpace = false
	k.l.mu.Unlock()
	k.request()
}

// scatterLocked counts bytes that were taken out of order, and requests compaction when they are
// many.
func (k *compactor) scatterLocked(x offset.Span) {
	k.scattered += int64(x.Bytes) + int64(x.To-x.From+1)*segment.RecordSize(0)
	if k.scattered >= k.l.o.SegmentSize/8 {
		k.scattered = 0
		k.request()
	}
}

// skip excludes segments that compaction failed on: another try would fail too.
func (k *compactor) skip(run []candidate) {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	for _, c := range run {
		c.f.skipCompaction = true
	}
}

// lookAgainLater sets the timer to when readers may have come to rest.
func (k *compactor) lookAgainLater() {
	l := k.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		k.timer.Reset(quietAfter)
	}
}

// candidate is a sealed segment as the policy sees it.
type candidate struct {
	f        *file
	end      uint64 // first number of the next segment
	live     uint64 // records that some consumer has yet to take
	records  uint64 // in the file, or more; 0 while not known
	size     int64  // of the file
	raw      int64  // about how many bytes its live records take, uncompressed
	hollow   bool   // it has much that is no record
	readSoon bool   // a moving reader is in it or near it
	reading  bool   // a reader is in it and will take the rest: see nearlyDead
	young    bool   // one of the newest
}

func (c *candidate) small(k *compactor) bool { return c.raw <= k.coldTarget()/smallPart }

// survey is a look at all sealed segments but the last file.
type survey struct {
	k        *compactor
	list     []candidate
	forSpace bool // the disk is full: do whatever frees space
	resting  bool // nothing was appended since the last survey
	wait     bool // there is more to do once readers and writers are at rest
}

func (k *compactor) survey() *survey {
	l := k.l
	s := &survey{k: k}
	l.mu.Lock()
	s.forSpace, s.resting, k.surveyed = k.forSpace, k.surveyed == l.next, l.next
	n := len(l.files) - 1
	nearby, reading := k.nearReadersLocked()
	for i := 0; i < n; i++ {
		f := l.files[i]
		if !f.sealed || f.lost || f.skipCompaction || f.renames > 0 || !f.named {
			continue
		}
		s.list = append(s.list, candidate{
			f: f, end: l.files[i+1].first, size: f.bytesLocked(),
			records: f.records, raw: f.recordSize,
			readSoon: nearby[f], reading: reading[f], young: i > n-newest,
		})
	}
	l.mu.Unlock()
	for i := range s.list {
		k.measure(&s.list[i])
	}
	return s
}

// nearReadersLocked returns the segments in or near which a reader has moved since the last survey,
// and the segments that any reader is in.
func (k *compactor) nearReadersLocked() (near, reading map[*file]bool) {
	l := k.l
	near, reading = make(map[*file]bool), make(map[*file]bool)
	for _, c := range l.consumers {
		i := l.indexLocked(c.seq)
		if i < 0 {
			continue
		}
		reading[l.files[i]] = true
		if c.seq == c.seen {
			continue
		}
		c.seen = c.seq
		for _, f := range l.files[i:min(i+1+nearSegments, len(l.files))] {
			near[f] = true
		}
	}
	return near, reading
}

// measure finds out how much of a segment is live. It opens a segment of unknown content only if
// something of it was taken.
func (k *compactor) measure(c *candidate) {
	l := k.l
	dead := uint64(0)
	l.eachDead(c.f.first, c.end, func(x offset.Span) { dead += x.To - x.From + 1 })
	c.live = c.end - c.f.first - dead
	if dead == 0 && c.records == 0 {
		c.records, c.raw = c.live, c.size
		return
	}
	if c.records == 0 && c.live > 0 {
		if f, err := l.holdFile(c.f); err == nil {
			l.mu.Lock()
			c.records, c.raw = f.records, f.recordSize
			l.mu.Unlock()
			l.release(f)
		}
	}
	c.live = min(c.live, c.records) // some numbers have no record
	c.hollow = !c.f.cold && c.records > 0 && c.size-c.raw > smallEnough
	if c.records > 0 {
		c.raw = int64(float64(c.raw) * float64(c.live) / float64(c.records))
	}
}

// wantsCold reports whether a segment should get its cold form.
func (k *compactor) wantsCold(c *candidate) bool {
	return k.l.o.cold() != (Cold{}) && !c.f.cold && !c.young
}

// choose picks what to rewrite next: one segment, or several neighbours that become one.
func (s *survey) choose() []candidate {
	for i := range s.list {
		if s.list[i].live == 0 {
			return s.list[i : i+1]
		}
	}
	if i := s.emptiest(); i >= 0 {
		return s.joined(i)
	}
	return s.coldRun()
}

// emptiest is the segment with the smallest live share, if it should be rewritten; else -1.
func (s *survey) emptiest() int {
	pick, best, due := -1, 2.0, false
	var used, live int64
	for i := range s.list {
		c := &s.list[i]
		used, live = used+c.size, live+c.raw
		mostly, nearly := c.mostlyDead(), c.nearlyDead()
		if (c.readSoon || c.reading && !(nearly && s.resting)) && !s.forSpace {
			s.wait = s.wait || mostly && (nearly || !c.reading)
			continue
		}
		due = due || mostly
		some := !s.forSpace && c.liveShare() < 0.95 // worth it for the slack
		if share := s.share(c); share < best && (mostly || some) {
			pick, best = i, share
		}
	}
	if due || used > live+s.k.slack(live) {
		return pick
	}
	return -1
}

// share is how much rewriting a segment leaves of it. On a full disk the segment with the fewest
// bytes to write is the best.
func (s *survey) share(c *candidate) float64 {
	if s.forSpace {
		return float64(c.raw) / float64(s.k.coldTarget())
	}
	return c.liveShare()
}

// joined adds the small neighbours of a chosen segment, as far as all fit into one.
func (s *survey) joined(pick int) []candidate {
	list, from, to, raw := s.list, pick, pick+1, s.list[pick].raw
	fits := func(c *candidate) bool {
		return c.small(s.k) && !c.readSoon && raw+c.raw <= s.k.coldTarget()
	}
	if !list[pick].small(s.k) || s.forSpace { // a full disk has room for little
		return list[from:to]
	}
	for from > 0 && list[from-1].end == list[from].f.first && fits(&list[from-1]) {
		from--
		raw += list[from].raw
	}
	for to < len(list) && list[to-1].end == list[to].f.first && fits(&list[to]) {
		raw += list[to].raw
		to++
	}
	return list[from:to]
}

// coldRun is the newest run of segments that should get their cold form, if it is long enough: what
// is read last gains the most. While items come, a short run waits for more.
func (s *survey) coldRun() []candidate {
	for to := len(s.list); to > 0; {
		from, raw := to, int64(0)
		for from > 0 && s.shouldFreeze(&s.list[from-1]) &&
			(from == to || s.list[from-1].end == s.list[from].f.first) &&
			(from == to || raw+s.list[from-1].raw <= s.k.coldTarget()) {
			from--
			raw += s.list[from].raw
		}
		switch {
		case from == to:
			to--
		case raw >= s.k.coldTarget()/2 || s.forSpace || s.resting:
			return s.list[from:to]
		default:
			s.wait = true
			to = from
		}
	}
	return nil
}

// shouldFreeze reports whether a segment should get its cold form now.
func (s *survey) shouldFreeze(c *candidate) bool {
	if !s.k.wantsCold(c) {
		return false
	}
	s.wait = s.wait || c.readSoon && !s.forSpace
	return !c.readSoon || s.forSpace
}

// isForSpace reports whether an item waits for space. Then compaction ignores its rate.
func (k *compactor) isForSpace() bool {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	return k.forSpace
}
