package queue

// What is known of a clock that was set, kept in the data directory: by how much the times that
// items got in a stretch of it were behind. A server that starts later corrects such times by it. A
// clock set back is not kept: its times come twice, and no item may be dropped before its time.

import (
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
)

// maxStretches bounds the file; the oldest ones are dropped.
const maxStretches = 64

// stretch is a period, in Unix ms by a clock that was set afterwards, and by how many ms that clock
// was behind.
type stretch struct{ from, to, behind int64 }

// shift is by how much a time was behind. Stretches overlap on a machine that always starts in
// 1970: then the largest counts.
func shift(past []stretch, at int64) (most int64) {
	for _, s := range past {
		if s.from <= at && at <= s.to {
			most = max(most, s.behind)
		}
	}
	return most
}

// history is all that is known and is to be kept.
func (e *eras) history() []stretch {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := append([]stretch(nil), e.past...)
	for i, one := range e.list[:len(e.list)-1] {
		next := e.list[i+1]
		s := stretch{
			from: one.from, to: next.from - (next.ahead - one.ahead),
			behind: e.lastLocked().ahead - one.ahead,
		}
		if s.behind > minStep {
			all = append(all, s)
		}
	}
	return all[max(0, len(all)-maxStretches):]
}

// loadEras reads what earlier runs noted, and has the steps of this run written down.
func (r *Registry) loadEras() {
	past, bad, err := readStretches(r.fs, r.dir)
	if bad > 0 || err != nil {
		r.logger.Warn("cannot read the whole history of the clock; items put before may expire early",
			"file", filepath.Join(r.dir, datadir.ClockName), "lines", bad, "error", err)
	}
	e := r.eras
	e.mu.Lock()
	defer e.mu.Unlock()
	e.past, e.logger = past, r.logger
	e.onStep = func() { signal(r.janitor.steps) }
	if e.steps.Load() > 0 {
		e.onStep()
	}
}

// Look tells the queues the time, for a caller that has read Options.Clock anyway: somebody may
// have set the clock. day and steady are what clock.Now returned.
func (r *Registry) Look(day time.Time, steady time.Duration) { r.eras.look(day, steady) }

// saveEras writes down what is known of steps.
func (r *Registry) saveEras() {
	all := r.eras.history()
	if len(all) == 0 {
		return
	}
	if err := writeStretches(r.fs, r.dir, all); err != nil {
		r.logger.Warn("cannot write the history of the clock; after a restart items put before may expire early",
			"file", filepath.Join(r.dir, datadir.ClockName), "error", err)
	}
}

// format is a stretch's line in the file, with a checksum at its end.
func (s stretch) format() string {
	line := fmt.Sprintf("%d %d %d", s.from, s.to, s.behind)
	return fmt.Sprintf("%s %08x\n", line, crc32.ChecksumIEEE([]byte(line)))
}

func parseStretch(line string) (s stretch, ok bool) {
	var sum uint32
	n, err := fmt.Sscanf(line, "%d %d %d %x", &s.from, &s.to, &s.behind, &sum)
	whole := err == nil && n == 4 && s.format() == line+"\n"
	return s, whole && s.from <= s.to && s.behind > 0 && s.behind < math.MaxInt64/4
}

// readStretches returns the stretches of the file, and how many of its lines are damaged.
func readStretches(fsys disk.FS, dir string) (past []stretch, bad int, err error) {
	const line = 128 // a line has at most 71 bytes
	b, err := readFile(fsys, dir, datadir.ClockName, line*maxStretches)
	for line := range strings.Lines(string(b)) {
		if s, ok := parseStretch(strings.TrimSuffix(line, "\n")); ok {
			past = append(past, s)
		} else {
			bad++
		}
	}
	return past[max(0, len(past)-maxStretches):], bad, err
}

// writeStretches replaces the file, durably.
func writeStretches(fsys disk.FS, dir string, all []stretch) error {
	var text strings.Builder
	for _, s := range all {
		text.WriteString(s.format())
	}
	return replaceFile(fsys, dir, datadir.ClockName, []byte(text.String()))
}
