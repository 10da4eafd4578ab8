package queue

// Whether the time of day was set. The clock of a machine may be set while the server runs: by
// hours, or by half a century where a machine starts in 1970. A lifetime that was given in seconds
// goes by steady time all the same. The stretches of time between two steps are eras: each item
// belongs to one, which says by how much the item's times have shifted since.

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/darner/darner/wal/clock"
)

const (
	// minStep is the jump of the time of day, in ms, that counts as a step. Less is drift.
	minStep = 2000
	// maxEras bounds the memory of eras where the time is set again and again. Older ones count as
	// the oldest one kept.
	maxEras = 256
)

// eras tells the time of day, and notices when it was set. It compares the two times of a clock
// whenever somebody asks for the time; no timer runs for it. All methods may be called from any
// goroutine.
type eras struct {
	clock  clock.Clock
	asleep func() int64 // ms that the machine has slept, which the steady time does not count

	ahead atomic.Int64  // ms that the time of day is ahead of the steady time, as of the last step
	steps atomic.Uint32 // noticed so far

	mu     sync.Mutex
	slept  int64
	list   []era // of this run, the present one last
	gone   int   // number of eras dropped from the front of list
	past   []stretch
	logger *slog.Logger
	onStep func() // must not block
}

// era is a stretch of time without a step.
type era struct {
	from  int64 // time of day at its beginning, Unix ms
	ahead int64 // of the steady time, sleep included, ms
}

func newEras(c clock.Clock, asleep func() int64) *eras {
	e := &eras{clock: c, asleep: asleep, slept: asleep(), logger: slog.Default(), onStep: func() {}}
	day, steady := e.read()
	e.ahead.Store(day - steady)
	e.list = []era{{from: day, ahead: day - steady}}
	return e
}

// read returns both times in ms.
func (e *eras) read() (day, steady int64) { return inMs(e.clock.Now()) }

func inMs(day time.Time, steady time.Duration) (int64, int64) {
	return day.UnixMilli(), steady.Milliseconds()
}

// now is the time of day in Unix ms.
func (e *eras) now() int64 {
	day, steady := e.read()
	if e.jumped(day, steady) {
		return e.noteStep()
	}
	return day
}

// look is now for a caller that has read the clock already.
func (e *eras) look(day time.Time, steady time.Duration) {
	if e.jumped(inMs(day, steady)) {
		e.noteStep()
	}
}

func (e *eras) jumped(day, steady int64) bool {
	jump := day - steady - e.ahead.Load()
	return jump > minStep || jump < -minStep
}

// noteStep reads the clock again, and notes a step unless the machine slept.
func (e *eras) noteStep() (now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	day, steady := e.read()
	if slept := e.asleep(); slept != e.slept {
		e.ahead.Add(slept - e.slept)
		e.slept = slept
	}
	if !e.jumped(day, steady) {
		return day
	}
	by := day - steady - e.ahead.Load()
	e.list = append(e.list, era{from: day, ahead: e.lastLocked().ahead + by})
	if len(e.list) > maxEras {
		e.list = append(e.list[:0], e.list[1:]...)
		e.gone++
	}
	e.steps.Add(1)
	e.ahead.Store(day - steady) // last: until then others who read the time wait for all of it
	e.logger.Warn("the clock was set; lifetimes given in seconds are kept",
		"was", stamp(day-by), "is", stamp(day), "by", time.Duration(by)*time.Millisecond)
	e.onStep()
	return day
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// corrects reports whether the clock was wrong at times, in this run or before.
func (e *eras) corrects() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.past) > 0 || len(e.list) > 1 || e.gone > 0
}

// behind is by how many ms the clock is behind what it was at most in this run: an item may expire
// so much earlier by the clock than its times say.
func (e *eras) behind() (by int64) {
	if e.steps.Load() == 0 {
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.list {
		by = max(by, x.ahead-e.lastLocked().ahead)
	}
	return by
}

// shiftSince is what to add to a time of day from an era of this run, to compare it with now.
func (e *eras) shiftSince(in uint32) int64 {
	if e.steps.Load() == in {
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastLocked().ahead - e.list[max(0, min(int(in)-e.gone, len(e.list)-1))].ahead
}

func (e *eras) lastLocked() era { return e.list[len(e.list)-1] }

// shiftBefore is shiftSince for the time at which an item was put in an earlier run. The history
// says how far that time was behind, and the steps of this run are added. They are left out if the
// item's time is nearer to the clock now than to the clock at the start: then the clock was right
// when the item was put.
func (e *eras) shiftBefore(at int64) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	by := shift(e.past, at)
	at += by
	first, moved := e.list[0].from, e.lastLocked().ahead-e.list[0].ahead
	fits := at > first && at-first >= first+moved-at // it is nearer to the time after the steps
	if moved < 0 {
		fits = at <= e.lastLocked().from
	}
	if !fits {
		by += moved
	}
	return by
}

// correction is what to add to the times of an item that is put now, since the clock may have been
// set after its request came; enqueued is when that was. The item then belongs to the era that is
// returned.
func (e *eras) correction(enqueued int64) (by int64, in uint32) {
	if e.steps.Load() == 0 {
		return 0, 0
	}
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	in = e.steps.Load()
	n := len(e.list)
	if n < 2 || enqueued == 0 || enqueued >= e.list[n-1].from && enqueued <= now+minStep {
		return 0, in
	}
	return e.list[n-1].ahead - e.list[n-2].ahead, in
}

// sinceStart turns a time of day into ms that no step moves.
func (e *eras) sinceStart(day int64) int64 { return day - e.ahead.Load() }
