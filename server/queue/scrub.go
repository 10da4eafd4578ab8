package queue

// Scrubbing: at each interval the cold segments and large items of all queues, parked ones too, are
// verified one after another. The data directory says when that was last done, so that a machine
// which is restarted every day gets to it as well.

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/datadir"
)

type scrubber struct {
	*task
	r       *Registry
	every   atomic.Int64  // the interval, in ns; negative: never
	changed chan struct{} // the interval has
}

func startScrubber(r *Registry) *scrubber {
	s := &scrubber{r: r, changed: make(chan struct{}, 1)}
	s.every.Store(int64(r.o.ScrubEvery))
	last := s.begin()
	s.task = startTask(func(ctx context.Context) { s.run(ctx, last) })
	return s
}

// SetScrubEvery has another interval of scrubbing apply from now on, as Options.ScrubEvery. A round
// that is under way goes on.
func (r *Registry) SetScrubEvery(every time.Duration) {
	if r.scrubber.every.Swap(int64(every)) == int64(every) {
		return
	}
	select {
	case r.scrubber.changed <- struct{}{}:
	default: // the last change is not seen yet, and this one will be with it
	}
}

// begin returns when all was last scrubbed. Where that is not known the first interval begins now.
func (s *scrubber) begin() (last time.Time) {
	last, ok := s.last()
	if !ok {
		last = s.today()
		if s.every.Load() >= 0 {
			s.note(last)
		}
	}
	return last
}

func (s *scrubber) today() time.Time {
	day, _ := s.r.clock.Now()
	return day
}

func (s *scrubber) run(ctx context.Context, last time.Time) {
	for {
		if !s.wait(ctx, last) {
			return
		}
		s.round(ctx)
		if ctx.Err() != nil {
			return
		}
		last = s.today()
		s.note(last)
	}
}

// wait returns when a round is due, or false once ctx has ended.
func (s *scrubber) wait(ctx context.Context, last time.Time) bool {
	alarm := clock.NewAlarm(s.r.clock)
	defer alarm.Stop()
	for {
		if every := s.every.Load(); every >= 0 {
			alarm.Set(max(0, last.Add(time.Duration(every)).Sub(s.today())))
		} else {
			alarm.Stop()
		}
		select {
		case <-alarm.C:
			if s.every.Load() >= 0 { // else it rang just before the change
				return true
			}
		case <-s.changed:
			last = s.begin()
		case <-ctx.Done():
			return false
		}
	}
}

// round scrubs all queues.
func (s *scrubber) round(ctx context.Context) {
	w := wal.Scrubber{FS: s.r.fs, Logger: s.r.logger, Rate: s.r.o.CompactRate, Clock: s.r.clock}
	stores := s.r.all()
	slices.SortFunc(stores, byName)
	for _, of := range stores {
		mended, err := w.Scrub(ctx, of.dir())
		of.noteMended(mended)
		if err != nil && ctx.Err() == nil {
			of.logger().Warn("cannot scrub the files of a queue", "dir", of.dir(), "error", err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// noteMended counts places of the store's files in which a flipped bit was mended.
func (s *store) noteMended(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mended += n
}

// path is the file that says when, as RFC 3339.
func (s *scrubber) path() string { return filepath.Join(s.r.dir, datadir.ScrubbedName) }

// last reads when all was last scrubbed; false when that is not known.
func (s *scrubber) last() (time.Time, bool) {
	f, err := s.r.fs.OpenRead(s.path())
	if err != nil {
		return time.Time{}, false
	}
	defer f.Close()
	var b [len(time.RFC3339)]byte
	n, _ := f.ReadAt(b[:], 0)
	at, err := time.Parse(time.RFC3339, string(b[:n]))
	return at, err == nil && at.Before(s.today())
}

// note writes down when all was scrubbed. If that fails, or a power cut takes it, the next round
// begins a little sooner or later.
func (s *scrubber) note(at time.Time) {
	fresh := s.path() + datadir.NewSuffix
	if err := s.r.fs.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	f, err := s.r.fs.Create(fresh)
	if err != nil {
		return
	}
	_, err = f.WriteAt([]byte(at.UTC().Format(time.RFC3339)), 0)
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.r.fs.Rename(fresh, s.path())
	}
	if err != nil {
		s.r.fs.Remove(fresh)
	}
}
