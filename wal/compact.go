package wal

// Compaction, the policy: which sealed segments are worth rewriting, and when. How it is done is in
// compact_write.go.
//
// A segment that nobody wants any more is deleted wherever it stands. One of which half is taken
// is rewritten to what is left, and joined with neighbours that have become small. One that will
// not be read soon gets its cold form. Beyond that, while the log uses more than its live records
// are worth, the segment with the least in it is rewritten. So the space in use is bounded whatever
// the order in which items are taken, and a queue that is kept short is never rewritten.

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

// compactor is a log's compaction: what it knows and who has to do with it.
type compactor struct {
	l *Log

	working    sync.Mutex   // held by run, and by Close
	asked      atomic.Bool  // the background has the log on its lane
	interrupts atomic.Int32 // callers that wait for it to let go
	timer      clock.Timer  // fires when readers may have come to rest

	// Log.mu guards the rest.
	forSpace  bool   // the disk was too full for an item: until compaction has given back something or has tried
	surveyed  uint64 // Log.next when it last looked
	scattered int64  // bytes taken out of order since it was last asked for
}

const (
	// newest is how many of the newest segments keep the form in which they were written.
	newest = 2

	// nearSegments is how many segments behind its own a reader that moves is said to come to soon.
	nearSegments = 2

	// quietAfter is how long a reader stands still before what is near it may be rewritten.
	quietAfter = 5 * time.Second

	// coldSize is how much is written into one cold segment, in bytes before compression, where
	// segments are smaller: with fewer blocks parity would cost more than its share.
	coldSize = 2 << 20

	// smallPart of that is what a segment with less in it is joined with others for.
	smallPart = 8
)

// coldTarget is how many bytes of records may be written into one cold segment.
func (k *compactor) coldTarget() int64 { return max(coldSize, k.l.o.SegmentSize) }

// mostlyDead reports whether so many of a segment's records are left that rewriting it is due.
func mostlyDead(live, records uint64) bool { return 2*live <= records }

// nearlyDead reports that so little of a segment is left that it is rewritten even when a reader who has come to
// rest is in it: what there is to be written is small beside what comes back.
func nearlyDead(live, records uint64) bool { return nearlyShare*live <= records }

// slack is what the log may use beyond its live records before more is rewritten: a tenth, and two
// segments.
func (k *compactor) slack(live int64) int64 { return live/10 + 2*k.l.o.SegmentSize }

// request has the background look for something to compact.
func (k *compactor) request() {
	if !k.asked.Swap(true) {
		k.l.background.compactLane.push(k.run)
	}
}

// run does one piece of work, and asks for the next turn while there may be more: other logs
// come in between.
func (k *compactor) run() {
	k.asked.Store(false)
	if k.once() {
		k.request()
	}
}

// once rewrites one run of segments, if that is worth while, and reports whether it did.
func (k *compactor) once() (more bool) {
	l := k.l
	k.working.Lock()
	defer k.working.Unlock()
	if l.Err() != nil {
		return false
	}
	if k.mend() {
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
	case disk.IsFull(err) || isTransient(err):
		if k.isForSpace() { // somebody waits for space: something may have been taken by then
			k.lookAgainLater()
		}
	case err != nil:
		k.skip(run)
		l.log.Error("cannot compact a queue; it keeps the space that it has", "queue", l.name(), "error", err)
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

// interrupt waits until compaction has let go of what it has in hand, and keeps it from going on until release
// is called.
func (k *compactor) interrupt() (release func()) {
	k.interrupts.Add(1)
	k.working.Lock()
	k.interrupts.Add(-1)
	return k.working.Unlock
}

// lookAgain is what the timer does.
func (k *compactor) lookAgain() {
	k.l.mu.Lock()
	k.forSpace = false
	k.l.mu.Unlock()
	k.request()
}

// scatterLocked counts what is taken out of order, and asks for compaction when that has become much. Log.mu is held.
func (k *compactor) scatterLocked(x offset.Span) {
	k.scattered += int64(x.Bytes) + int64(x.To-x.From+1)*segment.RecordSize(0)
	if k.scattered >= k.l.o.SegmentSize/8 {
		k.scattered = 0
		k.request()
	}
}

// skip keeps compaction off segments that it cannot rewrite: trying again would not help.
func (k *compactor) skip(run []candidate) {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	for _, c := range run {
		c.f.skipCompaction = true
	}
}

// lookAgainLater looks again when readers may have come to rest.
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
	end      uint64 // first number behind it
	live     uint64 // records that somebody has yet to take
	records  uint64 // in the file, at most
	size     int64  // of the file
	raw      int64  // bytes of the live records in a segment's form, about
	readSoon bool   // a reader comes to it soon
	reading  bool   // a reader is in it: what is taken of it will go with the rest, see nearlyDead
	young    bool   // among the newest
}

func (c *candidate) small(k *compactor) bool { return c.raw <= k.coldTarget()/smallPart }

// survey is every sealed segment but the last file, which takes appends.
type survey struct {
	k        *compactor
	list     []candidate
	forSpace bool // the disk is full: whatever gives space back is welcome
	resting  bool // nothing was appended since the last survey
	wait     bool // there will be something to do when readers and writers have come to rest
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
		s.list = append(s.list, candidate{f: f, end: l.files[i+1].first, size: f.bytes(), records: f.records, raw: f.recordSize, readSoon: nearby[f], reading: reading[f], young: i > n-newest})
	}
	l.mu.Unlock()
	for i := range s.list {
		k.measure(&s.list[i])
	}
	return s
}

// nearReadersLocked is the segments that a reader who has moved since the last look is in or near, and those
// that any reader is in. Log.mu is held.
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

// measure finds out how much of a segment is still wanted. What is in a file that was never opened
// is only looked up when something of it was taken.
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
	c.live = min(c.live, c.records) // numbers without a record are nobody's
	if c.records > 0 {
		c.raw = int64(float64(c.raw) * float64(c.live) / float64(c.records))
	}
}

// wantsCold reports that a segment should get its cold form.
func (k *compactor) wantsCold(c *candidate) bool {
	return *k.l.o.Cold != (Cold{}) && !c.f.cold && !c.young
}

// choose picks what to rewrite next: one segment, or several in a row that become one.
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

// emptiest is the segment of which the least is left, if so little that it is to be rewritten; else -1.
func (s *survey) emptiest() int {
	pick, best, due := -1, 2.0, false
	var used, live int64
	for i := range s.list {
		c := &s.list[i]
		used, live = used+c.size, live+c.raw
		mostly, nearly := mostlyDead(c.live, c.records), nearlyDead(c.live, c.records)
		if (c.readSoon || c.reading && !(nearly && s.resting)) && !s.forSpace {
			s.wait = s.wait || mostly && (nearly || !c.reading)
			continue
		}
		due = due || mostly
		if share := s.share(c); share < best && (mostly || !s.forSpace && c.live < c.records-c.records/20) {
			pick, best = i, share
		}
	}
	if due || used > live+s.k.slack(live) {
		return pick
	}
	return -1
}

// share is what rewriting the segment leaves of it. On a full disk what leaves the least to be written
// comes first.
func (s *survey) share(c *candidate) float64 {
	if s.forSpace {
		return float64(c.raw) / float64(s.k.coldTarget())
	}
	return float64(c.live) / float64(c.records)
}

// joined extends a choice to the small segments before and behind it, as far as they fit into one.
func (s *survey) joined(pick int) []candidate {
	list, from, to, raw := s.list, pick, pick+1, s.list[pick].raw
	fits := func(c *candidate) bool {
		return c.small(s.k) && !c.readSoon && raw+c.raw <= s.k.coldTarget()
	}
	if !list[pick].small(s.k) || s.forSpace { // a full disk has room for little at a time
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

// coldRun is the newest run of segments that should get their cold form, when there is enough of
// them for one: what is read last is worth it most. While items come, small ones wait for more.
func (s *survey) coldRun() []candidate {
	for to := len(s.list); to > 0; {
		from, raw := to, int64(0)
		for from > 0 && s.shouldFreeze(&s.list[from-1]) && (from == to || s.list[from-1].end == s.list[from].f.first) &&
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

// shouldFreeze reports that a segment should get its cold form, and now.
func (s *survey) shouldFreeze(c *candidate) bool {
	if !s.k.wantsCold(c) {
		return false
	}
	s.wait = s.wait || c.readSoon && !s.forSpace
	return !c.readSoon || s.forSpace
}

// isForSpace reports that it is asked for space: then it does not keep to its rate.
func (k *compactor) isForSpace() bool {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	return k.forSpace
}
