// Package logs keeps the server's log short.
package logs

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/darner/darner/wal/clock"
)

// Repeats is a slog.Handler that writes a line at once, and the same line again at most once a
// minute, with how often it came meanwhile as "repeated". Lines are the same if all but their time
// is. Lines below Info all pass: they are for those who look for every one.
type Repeats struct {
	next slog.Handler
	text slog.Handler // writes a line without its time into lines.buf
	all  *lines
}

const (
	pause    = time.Minute // between lines that are the same
	maxLines = 256         // remembered at a time; a line that was forgotten passes
)

// lines are those of the last minute.
type lines struct {
	clock clock.Clock
	mu    sync.Mutex // held while a line is written: it guards what follows
	buf   bytes.Buffer
	seen  map[string]*line
	timer clock.Timer // set while any line has repeats that were not written
	set   bool
}

// line is a line that was written.
type line struct {
	at       time.Duration // when it was written
	repeated int           // since
	last     slog.Record   // of the repeats
	next     slog.Handler  // for that
}

// NewRepeats returns a handler in front of next. Call Flush at the end.
func NewRepeats(next slog.Handler, c clock.Clock) *Repeats {
	all := &lines{clock: c, seen: make(map[string]*line)}
	all.timer = clock.NewTimer(c, func() { all.flush(false) })
	text := slog.NewTextHandler(&all.buf, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})
	return &Repeats{next: next, text: text, all: all}
}

// Enabled is for slog.
func (r *Repeats) Enabled(ctx context.Context, level slog.Level) bool {
	return r.next.Enabled(ctx, level)
}

// Handle is for slog.
func (r *Repeats) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level < slog.LevelInfo {
		return r.next.Handle(ctx, rec)
	}
	l := r.all
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
	if err := r.text.Handle(ctx, rec); err != nil {
		return err
	}
	now := clock.Steady(l.clock)
	if old := l.seen[l.buf.String()]; old != nil && (old.repeated > 0 || now-old.at < pause) {
		old.repeated++
		old.last, old.next = rec.Clone(), r.next
		if !l.set {
			l.set = true
			l.timer.Reset(max(old.at+pause-now, 0))
		}
		return nil
	}
	l.forgetLocked(now)
	if len(l.seen) < maxLines {
		l.seen[l.buf.String()] = &line{at: now}
	}
	return r.next.Handle(ctx, rec)
}

// forgetLocked forgets lines that were not repeated, if there are many.
func (l *lines) forgetLocked(now time.Duration) {
	if len(l.seen) < maxLines {
		return
	}
	for text, x := range l.seen {
		if x.repeated == 0 && now-x.at >= pause {
			delete(l.seen, text)
		}
	}
}

// WithAttrs is for slog.
func (r *Repeats) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Repeats{r.next.WithAttrs(attrs), r.text.WithAttrs(attrs), r.all}
}

// WithGroup is for slog.
func (r *Repeats) WithGroup(name string) slog.Handler {
	return &Repeats{r.next.WithGroup(name), r.text.WithGroup(name), r.all}
}

// Flush writes the repeats that were not written yet.
func (r *Repeats) Flush() { r.all.flush(true) }

// flush writes the repeats that are due, or all of them, and sets the timer for the others.
func (l *lines) flush(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := clock.Steady(l.clock)
	first := time.Duration(-1) // when the next is due
	for _, x := range l.seen {
		if x.repeated == 0 {
			continue
		}
		if due := x.at + pause; !all && due > now {
			if first < 0 || due < first {
				first = due
			}
			continue
		}
		x.last.Add("repeated", x.repeated)
		x.next.Handle(context.Background(), x.last)
		x.at, x.repeated, x.last, x.next = now, 0, slog.Record{}, nil
	}
	if l.set = first >= 0; l.set {
		l.timer.Reset(first - now)
	}
}
