package wal

// Scrubbing: cold segments are read now and then although nobody asks for them, so that damage is
// found while there is still enough to rebuild it from.

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/files"
)

// scrubShare is which part of compaction's rate scrubbing gets.
const scrubShare = 8

// Scrubber verifies cold segments, slowly. Use it from one goroutine.
type Scrubber struct {
	FS     disk.FS
	Logger *slog.Logger
	Rate   int64       // bytes a second, as of NewBackground: scrubbing takes an eighth of it
	Clock  clock.Clock // default the machine's
	pace   pacer
}

// Scrub verifies every byte of the cold segments in a log's directory, open or not, mends in place
// what their parity can rebuild, and logs what it finds. Files that are deleted meanwhile are passed
// over. It returns early, with the context's error, when ctx is done.
func (s *Scrubber) Scrub(ctx context.Context, dir string) error {
	entries, err := s.FS.ReadDir(dir)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	s.pace.clock = clock.Or(s.Clock)
	if s.pace.rate = s.Rate / scrubShare; s.Rate == 0 {
		s.pace.rate = defaultCompactRate / scrubShare
	}
	paced := func(n int) error {
		s.pace.wait(n, ctx.Done())
		return ctx.Err()
	}
	for _, e := range entries {
		if f := files.Classify(e.Name); f.Kind != files.Segment || !f.Cold || e.Dir {
			continue
		}
		path := filepath.Join(dir, e.Name)
		r, err := segment.Scrub(s.FS, path, true, paced)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !isNotExist(err) {
			logScrub(s.Logger, filepath.Base(dir), path, r, err)
		}
	}
	return nil
}
