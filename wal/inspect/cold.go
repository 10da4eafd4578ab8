package inspect

// Cold segments under examination: what else there is to know besides their records.

import (
	"errors"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/files"
)

// ColdName returns the name of the cold segment that replaces those whose first numbers are
// first..through.
func ColdName(first, through uint64) string { return files.ColdName(first, through) }

// Scrub verifies every byte of a cold segment. With mend it writes back what the parity can
// rebuild. Errors are those of [segment.Scrub].
func (in *Inspection) Scrub(f FileInfo, mend bool) (segment.ScrubReport, error) {
	return segment.Scrub(in.fs, in.Path(f), mend, nil)
}

// Cold reports whether the segment is in its cold form.
func (v *SegmentView) Cold() bool { return v.seg.Cold() }

// Rebuilt returns how often reading has met damage that cost nothing.
func (v *SegmentView) Rebuilt() uint64 { return v.seg.Rebuilt() }

// FileRange returns which bytes of the file hold a Step. In a cold segment these are whole blocks.
// The range is 0..0 if it is not known where they are.
func (v *SegmentView) FileRange(from, to uint32) (int64, int64) {
	from, to = v.seg.FileRange(from, to)
	return int64(from), int64(to)
}

// block is a block of a cold segment: the virtual range of its records, and its range in the file.
type block struct {
	from, to   uint32
	start, end uint32
}

// Share returns which bytes of the file a Step takes. In a cold segment that is its share of the
// block, by its size. Ask about Steps in order.
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

// Lost reads the blocks of a Step without a record again, and reports whether they are still
// damaged. The Step may have met a transient failure.
func (v *SegmentView) Lost(s *Step) bool {
	for off := s.From; off < s.To; off = v.seg.BlockEnd(off) {
		if _, _, err := v.seg.At(off); !errors.Is(err, segment.ErrDamaged) {
			return false
		}
	}
	return true
}

// Name returns the name that the file should have, according to its content. The second number in a
// cold segment's name is believed only as far as it can be right, because the log would delete what
// it covers.
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

// CopyReadable copies the readable records of a cold segment to a new file and syncs it. It leaves
// damaged records out, and keeps the numbers and the header. After an error there is no file.
func (v *SegmentView) CopyReadable(path string) error {
	if !v.Cold() {
		return errors.New(v.Path() + " is not cold")
	}
	keep := func(*segment.Record) bool { return true }
	sources := []*segment.Segment{v.seg}
	return segment.WriteCold(v.fs, path, sources, segment.DefaultCold(), keep, nil)
}
