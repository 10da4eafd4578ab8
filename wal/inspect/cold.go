package inspect

// Cold segments under examination: what there is to know of them besides their records.

import (
	"errors"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/files"
)

// ColdName is the name of a cold segment that stands for those that begin with the numbers first to
// through.
func ColdName(first, through uint64) string { return files.ColdName(first, through) }

// Scrub verifies every byte of a cold segment, and with mend writes back what its parity can rebuild.
// Errors are those of [segment.Scrub].
func (in *Inspection) Scrub(f FileInfo, mend bool) (segment.ScrubReport, error) {
	return segment.Scrub(in.fs, in.Path(f), mend, nil)
}

// Cold reports whether it is in the cold form.
func (v *SegmentView) Cold() bool { return v.seg.Cold() }

// Rebuilt is how often damage was met so far that cost nothing.
func (v *SegmentView) Rebuilt() uint64 { return v.seg.Rebuilt() }

// FileRange returns which bytes of the file hold what a Step is about: of a cold segment, whole
// blocks. They are 0 and 0 when it is not known where those are.
func (v *SegmentView) FileRange(from, to uint32) (int64, int64) {
	from, to = v.seg.FileRange(from, to)
	return int64(from), int64(to)
}

// block is a block of a cold segment: where its records are, virtually, and where it is in the file.
type block struct {
	from, to   uint32
	start, end uint32
}

// Share returns which bytes of the file a Step takes up: of a cold segment its share of the block, by
// its size. Ask about one Step after the other.
func (v *SegmentView) Share(from, to uint32) (uint32, uint32) {
	if !v.Cold() {
		return from, to
	}
	b := &v.block
	if from < b.from || from >= b.to {
		b.from, b.to = from, v.seg.BlockEnd(from)
		b.start, b.end = v.seg.FileRange(from, b.to)
	}
	if to > b.to {
		return v.seg.FileRange(from, to)
	}
	place := func(off uint32) uint32 {
		return b.start + uint32(uint64(off-b.from)*uint64(b.end-b.start)/uint64(b.to-b.from))
	}
	return place(from), place(to)
}

// Lost reports whether the blocks that a Step without a record is about are damaged still when they
// are read once more. The Step may have met a failure that passed.
func (v *SegmentView) Lost(s *Step) bool {
	for off := s.From; off < s.To; off = v.seg.BlockEnd(off) {
		if _, _, err := v.seg.At(off); !errors.Is(err, segment.ErrDamaged) {
			return false
		}
	}
	return true
}

// Name is what the file should be called by what is in it. Of the numbers in a cold segment's name the
// second is believed as far as it can be: what it claims too much would be deleted.
func (v *SegmentView) Name(f FileInfo) string {
	first, last := v.Header().First, max(v.Header().First, v.Totals().Last)
	switch {
	case !v.Cold():
		return SegmentName(first)
	case f.Cold && f.Through > first && f.Through <= last+1 && f.Through > f.Number:
		return files.ColdName(first, f.Through)
	case f.Cold && f.Number == first && f.Through > first:
		return files.ColdName(first, last)
	}
	return files.ColdName(first, first)
}

// WriteAnew writes the readable records of a cold segment, and the damaged ones not, to a new file,
// which is on stable storage then. Its numbers and its header keep. After an error there is no file.
func (v *SegmentView) WriteAnew(path string) error {
	if !v.Cold() {
		return errors.New(v.Path() + " is not cold")
	}
	keep := func(*segment.Record) bool { return true }
	return segment.WriteCold(v.fs, path, []*segment.Segment{v.seg}, segment.DefaultCold(), keep, nil)
}
