package queue

// The registry's scrubbing: each interval the cold segments of all queues, parked ones too, are
// verified one after another. When that was last done is kept in the data directory, so that a
// machine which is restarted every day comes to it as well.

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

type scrubber struct {
	r     *Registry
	every time.Duration
	ctx   context.Context
	quit  context.CancelFunc
	done  chan struct{}
}

// startScrubber starts the one goroutine, none if there is no interval.
func startScrubber(r *Registry) *scrubber {
	s := &scrubber{r: r, every: r.o.ScrubEvery, done: make(chan struct{})}
	s.ctx, s.quit = context.WithCancel(context.Background())
	if s.every < 0 {
		close(s.done)
		return s
	}
	last, ok := s.last()
	if !ok { // from now on
		last = time.Now()
		s.note(last)
	}
	go s.run(last)
	return s
}

func (s *scrubber) stop() {
	s.quit()
	<-s.done
}

func (s *scrubber) stopped() bool { return s.ctx.Err() != nil }

func (s *scrubber) run(last time.Time) {
	defer close(s.done)
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(time.Until(last.Add(s.every))):
		}
		s.round()
		if s.stopped() {
			return
		}
		last = time.Now()
		s.note(last)
	}
}

// round goes through all queues.
func (s *scrubber) round() {
	w := wal.Scrubber{FS: s.r.fs, Logger: s.r.logger, Rate: s.r.o.CompactRate}
	stores := s.r.all()
	slices.SortFunc(stores, byName)
	for _, of := range stores {
		if err := w.Scrub(s.ctx, of.dir()); err != nil && s.ctx.Err() == nil {
			s.r.logger.Warn("cold segments of a queue cannot be examined", "queue", of.name, "dir", of.dir(), "error", err)
		}
		if s.stopped() {
			return
		}
	}
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
	return at, err == nil && at.Before(time.Now())
}

// note writes it down. When that fails, or a power cut takes it, scrubbing begins a little sooner or later.
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
