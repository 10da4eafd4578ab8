package metrics

// What goes wrong by the thousand is told in a few lines of the log: one when it begins, one a
// minute while it lasts, and one when a minute has passed without it.

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/darner/darner/wal/clock"
)

// Trouble is one kind of what may go wrong by the thousand.
type Trouble struct {
	Level  slog.Level
	Text   string // the message; %s in it becomes nothing, " still" or " no longer"
	Reason string // empty: the message says it all
	Global bool   // it is of no queue
}

const (
	// episodeStep is the time between two lines of an episode.
	episodeStep = time.Minute

	// maxNamed is how many episodes of one trouble have lines of their own. Those beyond, which are
	// of other queues, share one: neither the log nor memory grows with what clients name.
	maxNamed = 16
)

// Episodes tells of troubles that last. It has one timer, which is set while any does. All methods
// may be called from any goroutine; those of a nil *Episodes do nothing.
type Episodes struct {
	clock  clock.Clock
	logger *slog.Logger

	telling sync.Mutex // held while lines are written; taken before mu

	mu      sync.Mutex // a leaf
	timer   clock.Timer
	running map[episodeKey]*episode
	named   map[*Trouble]int // how many of running have names
	closed  bool
}

// episodeKey says what an episode is of. The queue's name is empty for the queues beyond maxNamed.
type episodeKey struct {
	trouble *Trouble
	queue   string
}

type episode struct {
	began, due time.Duration // steady times; due: of the next line
	all, told  uint64        // events so far, and until the last line
	why        error         // the latest; may be nil
	ended      bool
}

// line is one of an episode's in the log.
type line struct {
	episodeKey
	how          string // what becomes of %s
	count, total uint64 // events since the last line, and in all
	lasted       time.Duration
	why          error
}

// NewEpisodes returns one in which nothing is wrong.
func NewEpisodes(c clock.Clock, logger *slog.Logger) *Episodes {
	e := &Episodes{
		clock: c, logger: logger,
		running: make(map[episodeKey]*episode), named: make(map[*Trouble]int),
	}
	e.timer = clock.NewTimer(c, e.tell)
	return e
}

// Note counts n events of a trouble with a queue, and tells of them soon, on another goroutine. It
// may be called with any lock held. why is the cause in words; nil if there is none. The queue's
// name is empty for a global trouble alone.
func (e *Episodes) Note(t *Trouble, queue string, n uint64, why error) {
	if e == nil || n == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	k := episodeKey{t, queue}
	if e.running[k] == nil && e.named[t] == maxNamed {
		k.queue = ""
	}
	x := e.running[k]
	if x == nil {
		x = new(episode)
		e.running[k] = x
		if k.queue != "" {
			e.named[t]++
		}
		e.timer.Reset(0)
	}
	x.all += n
	x.why = why
}

// tell writes the lines that are due, and sets the timer for the next ones.
func (e *Episodes) tell() {
	e.telling.Lock()
	defer e.telling.Unlock()
	for _, l := range e.take() {
		e.write(l)
	}
}

// take returns the lines that are due.
func (e *Episodes) take() (lines []line) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := clock.Steady(e.clock)
	next := time.Duration(-1)
	for k, x := range e.running {
		if x.told > 0 && x.due > now {
			next = sooner(next, x.due)
			continue
		}
		lines = append(lines, x.next(k, now))
		if x.ended {
			e.endLocked(k)
		} else {
			next = sooner(next, x.due)
		}
	}
	if next >= 0 && !e.closed {
		e.timer.Reset(next - now)
	}
	return lines
}

// next is the next line, which is due.
func (x *episode) next(k episodeKey, now time.Duration) line {
	l := line{episodeKey: k, how: " still", count: x.all - x.told, total: x.all, why: x.why}
	switch x.told {
	case 0:
		x.began, l.how = now, ""
	case x.all:
		x.ended, l.how = true, " no longer"
	}
	x.told, x.due = x.all, now+episodeStep
	l.lasted = (now - x.began).Round(time.Second)
	return l
}

// sooner returns the earlier of two times; a negative one never comes.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 {
		return b
	}
	return min(a, b)
}

func (e *Episodes) endLocked(k episodeKey) {
	delete(e.running, k)
	if k.queue != "" {
		e.named[k.trouble]--
	}
}

func (e *Episodes) write(l line) {
	var attrs []slog.Attr
	switch {
	case l.queue != "":
		attrs = append(attrs, slog.String("queue", l.queue))
	case !l.trouble.Global:
		attrs = append(attrs, slog.String("queues", "others"))
	}
	if l.trouble.Reason != "" {
		attrs = append(attrs, slog.String("reason", l.trouble.Reason))
	}
	if l.count > 0 {
		attrs = append(attrs, slog.Uint64("count", l.count))
	}
	if l.how != "" {
		attrs = append(attrs, slog.Uint64("total", l.total), slog.Duration("for", l.lasted))
	}
	if l.count > 0 && l.why != nil {
		attrs = append(attrs, slog.Any("error", l.why))
	}
	text := fmt.Sprintf(l.trouble.Text, l.how)
	e.logger.LogAttrs(context.Background(), l.trouble.Level, text, attrs...)
}

// Close tells of what was not told yet, and of nothing from then on. Idempotent.
func (e *Episodes) Close() {
	if e == nil {
		return
	}
	e.mu.Lock()
	e.closed = true
	e.timer.Stop()
	for k, x := range e.running {
		if x.all == x.told {
			e.endLocked(k)
			continue
		}
		x.due = 0 // now
	}
	e.mu.Unlock()
	e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.running)
}
