package wal

// Scrubbing: segments and the bodies of large items are read from time to time, so that damage
// is found while it can still be repaired.

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
)

// scrubShare: scrubbing gets one part in so many of compaction's rate.
const scrubShare = 8

// Scrubber verifies what is at rest, slowly. Use it from one goroutine.
type Scrubber struct {
	FS     disk.FS
	Logger *slog.Logger
	Rate   int64       // bytes a second, as in NewBackground; scrubbing takes an eighth of it
	Clock  clock.Clock // default the machine's
	pace   pacer
}

// Scrub verifies every byte of the segments and bodies in a log's directory, whether the log
// is open or not. It repairs in place flipped bits and what parity can rebuild, and logs what it
// finds. It passes over files that are deleted meanwhile. When ctx is done, it returns the
// context's error. mended is how many flipped bits there were, also after an error.
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
	log := s.Logger.With("queue", filepath.Base(dir))
	for _, e := range entries {
		f, path := files.Classify(e.Name), filepath.Join(dir, e.Name)
		switch {
		case e.Dir:
		case f.Kind == files.Segment:
			// One that is not sealed may become the next one meanwhile.
			o := segment.HotOptions{Mend: true, SealedOnly: true, Pace: paced}
			r, err := scrubSegment(s.FS, path, f.Cold, f.Number, o)
			mended += uint64(r.Flipped)
			if !f.Cold && segment.Unreadable(err) { // the log, when it is opened, says so
				err = nil
			}
			if ctx.Err() == nil && !isNotExist(err) {
				logScrub(log, path, r, err)
			}
		case f.Kind == files.Body:
			n, err := body.Scrub(s.FS, path, paced)
			mended += uint64(n)
			if ctx.Err() == nil && !isNotExist(err) {
				logScrubbedBody(log, path, n, err)
			}
		}
		if ctx.Err() != nil {
			return mended, ctx.Err()
		}
	}
	return mended, nil
}

// logScrubbedBody logs what was found in the body of a large item, if anything.
func logScrubbedBody(log *slog.Logger, path string, flipped int, err error) {
	if flipped > 0 {
		log.Warn("flipped bits in the body of a large item were mended; nothing is lost",
			"file", path, "flipped", flipped)
	}
	switch {
	case errors.Is(err, ErrDamaged):
		log.Error("body of a large item is damaged; its reader will lose the item",
			"file", path, "error", err)
	case err != nil:
		log.Warn("cannot examine the body of a large item", "file", path, "error", err)
	}
}
