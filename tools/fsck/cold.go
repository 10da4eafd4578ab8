package fsck

// Cold segments: every byte is scrubbed. A repair writes back in place what parity can rebuild, so
// that nothing is lost. What it cannot rebuild is lost, and the file is rewritten without it.

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// coldFile is what is known about a segment as a cold one.
type coldFile struct {
	isCold  bool
	report  segment.ScrubReport
	lost    []pending    // ranges with lost items
	records int          // number of readable records
	by      *segmentFile // a cold segment that replaces this one, cold or not
}

// scrub verifies all of a cold segment. A read error of the disk would look like damage, so it is
// returned as an error.
func (e *examination) scrub(s *segmentFile) (err error) {
	if err := e.readable(s.file, 0, s.file.Size); err != nil {
		return err
	}
	if s.cold.report, err = e.in.Scrub(s.file, false); err != nil ||
		len(s.cold.report.Damaged) == 0 {
		return err
	}
	again, err := e.in.Scrub(s.file, false)
	if err != nil {
		return err
	}
	if again.Lost != s.cold.report.Lost || len(again.Damaged) != len(s.cold.report.Damaged) {
		return fmt.Errorf("%s reads differently from one time to the next: %w", e.in.Path(s.file),
			syscall.EIO)
	}
	return nil
}

// hole returns a range of the file in which blocks are lost. Unless the scrub and a second read
// agree, the disk is at fault and not the file.
func (c *coldFile) hole(v *inspect.SegmentView, step *inspect.Step) *pending {
	from, to := v.FileRange(step.From, step.To)
	p := pending{from, to, c.report.Lost == 0 || !errors.Is(step.Err, segment.ErrDamaged) ||
		!v.Lost(step)}
	c.lost = append(c.lost, p)
	return &p
}

// whole reports whether no item of a cold segment is lost.
func (c *coldFile) whole() bool { return len(c.lost) == 0 }

// leftOut handles items that are not in a cold segment although nothing is damaged. Compaction
// leaves out items that were taken and items that it cannot read. A consumer with a damaged offset
// file may not know which of the two it was.
func (e *examination) leftOut(s *segmentFile, from, to uint64) {
	if from >= to {
		return
	}
	for _, c := range e.consumers {
		if c.rewrite {
			c.state.Take(from, to-1, 0)
		}
	}
	e.missing(s, from, to-1,
		"are not in it: they were damaged when it was written, or it is an older copy")
}

const noItemLost = "damaged; no item is lost, for parity or another copy tells what stood here"

// coldDamage reports what a scrub found besides lost items.
func (e *examination) coldDamage(s *segmentFile, v *inspect.SegmentView) {
	c := &s.cold
	if !c.isCold {
		return
	}
	f := Finding{File: s.file.Name, Severity: Damage, Kind: Rebuilt, What: noItemLost}
	need := rebuild
	if c.report.Lost > 0 {
		need, f.What = copyOver, "damaged as well; no further item is lost by that"
	}
	for _, d := range c.report.Damaged {
		if f.From, f.To = int64(d.From), int64(d.To); !c.within(f.From, f.To) {
			e.t.add(f)
		}
	}
	if len(c.report.Damaged) > 0 {
		s.fix = max(s.fix, need)
	} else if v.Rebuilt() > 0 { // a scrub reads only what should be there
		s.fix = copyOver
		e.t.damage(s.file.Name, Stray,
			"the file is longer than it should be; no item is lost, as nobody reads the rest")
	}
}

// within reports whether a range is reported already, with lost items.
func (c *coldFile) within(from, to int64) bool {
	return slices.ContainsFunc(c.lost, func(p pending) bool { return p.from <= from && to <= p.to })
}
