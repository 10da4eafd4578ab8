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
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/datadir"
)

type scrubber struct {
	r     *Registry
	every time.Duration
}

// startScrubber returns nil if there is no interval.
func startScrubber(r *Registry) *task {
	if r.o.ScrubEvery < 0 {
		return nil
	}
	s := &scrubber{r: r, every: r.o.ScrubEvery}
	last, ok := s.last()
	if !ok { // the first interval begins now
		last = s.today()
		s.note(last)
	}
	return startTask(func(ctx context.Context) { s.run(ctx, last) })
}

func (s *scrubber) today() time.Time {
	day, _ := s.r.clock.Now()
	return day
}

func (s *scrubber) run(ctx context.Context, last time.Time) {
	for {
		left := last.Add(s.every).Sub(s.today())
		if !clock.Wait(s.r.clock, max(0, left), ctx.Done()) {
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
