package fsck

// Cold segments: each is scrubbed, byte by byte. What the parity can rebuild costs nothing and is
// written back in place; what it cannot is lost, and the file is written anew without it.

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/inspect"
)

// coldFile is what there is to know of a cold segment.
type coldFile struct {
	is      bool // it is one
	report  segment.ScrubReport
	lost    []pending    // where items are lost
	records int          // that can be read
	by      *segmentFile // a cold segment that stands for this one, cold or not
}

// scrub verifies all of a cold segment. What the disk does not give reads as damage: that is told as
// what it is.
func (e *examination) scrub(s *segmentFile) (err error) {
	if err := e.readable(s.file, 0, s.file.Size); err != nil {
		return err
	}
	if s.cold.report, err = e.in.Scrub(s.file, false); err != nil || len(s.cold.report.Damaged) == 0 {
		return err
	}
	again, err := e.in.Scrub(s.file, false)
	if err != nil {
		return err
	}
	if again.Lost != s.cold.report.Lost || len(again.Damaged) != len(s.cold.report.Damaged) {
		return fmt.Errorf("%s reads differently from one time to the next: %w", e.in.Path(s.file), syscall.EIO)
	}
	return nil
}

// hole is a stretch in which blocks are lost, as bytes of the file. The scrub has to agree, and a
// second look, or it is not the file that is damaged.
func (c *coldFile) hole(v *inspect.SegmentView, step *inspect.Step) *pending {
	from, to := v.FileRange(step.From, step.To)
	p := pending{from, to, c.report.Lost == 0 || !errors.Is(step.Err, segment.ErrDamaged) || !v.Lost(step)}
	c.lost = append(c.lost, p)
	return &p
}

// whole reports whether no item of a cold segment is lost.
func (c *coldFile) whole() bool { return len(c.lost) == 0 }

// leftOut deals with numbers that are not in a cold segment, though nothing is damaged: compaction
// leaves out what is taken, and what it cannot read. A consumer whose file is damaged may have
// forgotten which it was.
func (e *examination) leftOut(s *segmentFile, from, to uint64) {
	if from >= to {
		return
	}
	for _, c := range e.consumers {
		if c.stale {
			c.state.Take(from, to-1, 0)
		}
	}
	e.missing(s, from, to-1, "are not in it: they were damaged when it was written, or it is an older copy")
}

const noItemLost = "damaged; no item is lost, for parity or another copy tells what stood here"

// foundCold notes what a scrub found besides lost items.
func (e *examination) foundCold(s *segmentFile, v *inspect.SegmentView) {
	c := &s.cold
	if !c.is {
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
	} else if v.Rebuilt() > 0 { // which a scrub, that looks at what should be there, does not see
		s.fix = copyOver
		e.t.add(Finding{File: s.file.Name, Severity: Damage, Kind: Stray, What: "there is more of the file than there should be; no item is lost, for nobody reads it"})
	}
}

// within reports whether a range is told of with the items that are lost in it.
func (c *coldFile) within(from, to int64) bool {
	return slices.ContainsFunc(c.lost, func(p pending) bool { return p.from <= from && to <= p.to })
}
