package wal

// Scrubbing: cold segments are read now and then although nobody asks for them, so that damage is
// found while there is still enough to rebuild it from.

import (
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
)

// scrubShare is which part of compaction's rate scrubbing gets.
const scrubShare = 8

// Scrubber verifies cold segments, slowly. Use it from one goroutine.
type Scrubber struct {
	FS     disk.FS
	Logger *slog.Logger
	Rate   int64       // bytes a second, as of NewBackground: scrubbing takes an eighth of it
	Stop   func() bool // says that the work is to end early
	pace   pacer
}

// Scrub verifies every byte of the cold segments in a log's directory, open or not, mends in place
// what their parity can rebuild, and logs what it finds. Files that are deleted meanwhile are passed
// over. It returns early, with ErrClosed, when Stop says so.
func (s *Scrubber) Scrub(dir string) error {
	entries, err := s.FS.ReadDir(dir)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.pace.rate = s.Rate / scrubShare; s.Rate == 0 {
		s.pace.rate = defaultCompactRate / scrubShare
	}
	for _, e := range entries {
		if f := files.Classify(e.Name); f.Kind != files.Segment || !f.Cold || e.Dir {
			continue
		}
		path := filepath.Join(dir, e.Name)
		r, err := segment.Scrub(s.FS, path, true, s.paced)
		if errors.Is(err, ErrClosed) {
			return err
		}
		if !isNotExist(err) {
			logScrub(s.Logger, filepath.Base(dir), path, r, err)
		}
	}
	return nil
}

func (s *Scrubber) paced(n int) error {
	s.pace.wait(n)
	if s.Stop() {
		return ErrClosed
	}
	return nil
}
