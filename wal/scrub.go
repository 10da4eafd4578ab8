package wal

// Scrubbing: cold segments are read from time to time, so that damage is found while it can still
// be repaired.

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/files"
)

// scrubShare: scrubbing gets one part in so many of compaction's rate.
const scrubShare = 8

// Scrubber verifies cold segments, slowly. Use it from one goroutine.
type Scrubber struct {
	FS     disk.FS
	Logger *slog.Logger
	Rate   int64       // bytes a second, as in NewBackground; scrubbing takes an eighth of it
	Clock  clock.Clock // default the machine's
	pace   pacer
}

// Scrub verifies every byte of the cold segments in a log's directory, whether the log is open or
// not. It repairs in place flipped bits and what parity can rebuild, and logs what it finds. It
// passes over files that are deleted meanwhile. When ctx is done, it returns the context's error.
// mended is how many places had a flipped bit, also after an error.
func (s *Scrubber) Scrub(ctx context.Context, dir string) (mended uint64, err error) {
	entries, err := s.FS.ReadDir(dir)
	if isNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
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
		mended += uint64(r.Flipped)
		if ctx.Err() != nil {
			return mended, ctx.Err()
		}
		if !isNotExist(err) {
			logScrub(s.Logger.With("queue", filepath.Base(dir)), path, r, err)
		}
	}
	return mended, nil
}
