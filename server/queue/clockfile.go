package queue

// What is known of a clock that was set, kept in the data directory: by how much the times that items got
// in a stretch of it were behind. A server that starts later judges them by it. Setting a clock back is not kept:
// its times come twice, and no item is to be dropped before its time.

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
)

// mostStretches bounds the file; the oldest are forgotten.
const mostStretches = 64

// stretch is a time, in Unix ms by a clock that was set afterwards, and by how much it was behind.
type stretch struct{ from, to, behind int64 }

// shift is by how much a time was behind; where stretches overlap, as those of a machine that always starts in 1970, the most.
func shift(past []stretch, at int64) (most int64) {
	for _, s := range past {
		if s.from <= at && at <= s.to {
			most = max(most, s.behind)
		}
	}
	return most
}

// history is all that is known, to be kept.
func (c *Clock) history() []stretch {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := append([]stretch(nil), c.past...)
	for i, e := range c.eras[:len(c.eras)-1] {
		next := c.eras[i+1]
		s := stretch{from: e.from, to: next.from - (next.ahead - e.ahead), behind: c.last().ahead - e.ahead}
		if s.behind > leastStep {
			all = append(all, s)
		}
	}
	return all[max(0, len(all)-mostStretches):]
}

// keep has the clock know what earlier runs did, and steps kept for later ones.
func (c *Clock) keep(r *Registry) {
	past, bad, err := readClock(r.fs, r.dir)
	if bad > 0 || err != nil {
		r.logger.Warn("not all that is known of how the clock was set can be read; items put then may expire early",
			"file", filepath.Join(r.dir, datadir.ClockName), "lines", bad, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past, c.logger = past, r.logger
	c.tell = func() { signal(r.janitor.steps) }
	if c.steps.Load() > 0 {
		c.tell()
	}
}

// Look tells the queues what time it is, for those who asked time.Now anyway: the clock may have been set.
func (r *Registry) Look(moment time.Time) { r.o.Clock.Look(moment) }

// keepSteps writes down what is known of steps.
func (r *Registry) keepSteps() {
	all := r.o.Clock.history()
	if len(all) == 0 {
		return
	}
	if err := writeClock(r.fs, r.dir, all); err != nil {
		r.logger.Warn("how the clock was set cannot be written down; items put before may expire early after a restart",
			"file", filepath.Join(r.dir, datadir.ClockName), "error", err)
	}
}

// format and parse are the file's: a line a stretch, each with the checksum of what is before it.
func (s stretch) format() string {
	line := fmt.Sprintf("%d %d %d", s.from, s.to, s.behind)
	return fmt.Sprintf("%s %08x\n", line, crc32.ChecksumIEEE([]byte(line)))
}

func parseStretch(line string) (s stretch, ok bool) {
	var sum uint32
	n, err := fmt.Sscanf(line, "%d %d %d %x", &s.from, &s.to, &s.behind, &sum)
	ok = err == nil && n == 4 && s.format() == line+"\n" && s.from <= s.to && s.behind > 0 && s.behind < math.MaxInt64/4
	return s, ok
}

// readClock returns what the file says, and how many lines of it cannot be believed.
func readClock(fsys disk.FS, dir string) (past []stretch, bad int, err error) {
	f, err := fsys.OpenRead(filepath.Join(dir, datadir.ClockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	b := make([]byte, 128*mostStretches) // a line has at most 71
	n, _ := f.ReadAt(b, 0)
	for line := range strings.Lines(string(b[:n])) {
		if s, ok := parseStretch(strings.TrimSuffix(line, "\n")); ok {
			past = append(past, s)
		} else {
			bad++
		}
	}
	return past[max(0, len(past)-mostStretches):], bad, nil
}

// writeClock replaces the file, durably.
func writeClock(fsys disk.FS, dir string, all []stretch) error {
	path := filepath.Join(dir, datadir.ClockName)
	fresh := path + datadir.NewSuffix
	if err := fsys.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(fresh)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, s := range all {
		text.WriteString(s.format())
	}
	_, err = f.WriteAt([]byte(text.String()), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(fresh, path)
	}
	if err != nil {
		fsys.Remove(fresh)
		return err
	}
	return fsys.SyncDir(dir)
}
