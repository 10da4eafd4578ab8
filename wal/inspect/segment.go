package inspect

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/settle"
)

// SegmentView is one segment, opened for examination. Close it.
type SegmentView struct {
	// Found is the damage that opening noticed: copies of the header, the index, the tail. In a
	// segment that is not sealed, it includes the ranges that Steps comes to.
	Found []segment.Damage

	// Stray is ranges in the header that nobody reads and that should be zeros.
	Stray []segment.Span

	// Headless: all copies of the header are lost, and the footer. The records told what was
	// needed.
	Headless bool

	seg   *segment.Segment
	fs    disk.FS
	b     []byte // the whole file, mapped; nil for a cold segment
	unmap func([]byte) error
	block block // of a cold segment: the one that Share was last asked about
}

// OpenSegment opens a segment, cold or not, or a spare. Errors are those of [segment.Open],
// including ErrForeign. The caller has to check that its header has the number in its name:
// recovery ignores a segment that has not.
func (in *Inspection) OpenSegment(f FileInfo) (*SegmentView, error) {
	o := segment.OpenOptions{Log: in.Log}
	if f.Kind == SegmentFile {
		o.First = settle.First(f.Number, in.durable)
	}
	seg, found, err := segment.Open(in.fs, in.Path(f), o)
	if err != nil {
		return nil, err
	}
	v := &SegmentView{Found: found, seg: seg, fs: in.fs}
	if seg.Cold() {
		return v, nil
	}
	for _, d := range found {
		header := d.Meta && d.From == 0 && d.To == segment.HeaderSize
		v.Headless = v.Headless || !seg.Sealed() && header
	}
	if v.b, v.unmap, err = mapWhole(in.fs, seg.Path(), seg.Size()); err == nil {
		err = v.findStray()
	}
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

func mapWhole(fsys disk.FS, path string, size int64) ([]byte, func([]byte) error, error) {
	file, err := fsys.OpenRead(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	b, err := file.Map(int(size), false)
	return b, file.Unmap, err
}

// findStray looks at the bytes after each copy of the header.
func (v *SegmentView) findStray() (err error) {
	defer segment.Guard(v.Path(), debug.SetPanicOnFault(true), &err)
	const copies, used = segment.HeaderSize / 2, 128
	for at := 0; at < min(segment.HeaderSize, len(v.b)); at += copies {
		if !blank.Bytes(v.b[min(at+used, len(v.b)):min(at+copies, len(v.b))]) {
			stray := segment.Span{From: uint32(at + used), To: uint32(at + copies)}
			v.Stray = append(v.Stray, stray)
		}
	}
	return nil
}

// Header returns the segment's header.
func (v *SegmentView) Header() segment.Header { return v.seg.Header() }

// Totals sums up the records: those in the footer if the segment is sealed, else the valid ones.
func (v *SegmentView) Totals() segment.Totals { return v.seg.Totals() }

// Sealed reports whether the segment ends in a sound footer.
func (v *SegmentView) Sealed() bool { return v.seg.Sealed() }

// Tail returns the offset where the records end.
func (v *SegmentView) Tail() uint32 { return v.seg.Tail() }

// Path returns the path of the file.
func (v *SegmentView) Path() string { return v.seg.Path() }

// Close ends the examination. No payload of a record may be used any more.
func (v *SegmentView) Close() error {
	if v.b == nil {
		return v.seg.Close()
	}
	err := v.unmap(v.b)
	v.b = nil
	return errors.Join(err, v.seg.Close())
}

// Step is a part of a segment: a record, or a range without one.
type Step struct {
	From, To uint32 // offsets; virtual ones in a cold segment, see SegmentView.FileRange

	// Err is nil for a record, segment.ErrDamaged if the range holds no valid record, and
	// segment.ErrFault if the disk does not return it.
	Err error

	// Record's payload aliases the map: read it under [segment.Guard], before Close.
	Record segment.Record

	// Stray: the record's padding, which nobody reads, is not zeros.
	Stray bool
}

// Steps goes through everything between header and tail, in order, as a consumer does: records with
// rising sequence numbers, and the ranges between them that hold none. A Step is valid until the
// next.
func (v *SegmentView) Steps() iter.Seq[*Step] {
	return func(yield func(*Step) bool) {
		s := new(Step)
		least := v.Header().First
		for at := uint32(segment.HeaderSize); at < v.Tail(); at = s.To {
			r, next, err := v.seg.At(at)
			switch {
			case err == io.EOF: // room for a payload that did not come whole
				return
			case err != nil:
				*s = Step{From: at, To: v.seg.NextValid(at), Err: err}
			case r.Seq < least:
				err := fmt.Errorf("item %d where at least %d belongs: %w",
					r.Seq, least, segment.ErrDamaged)
				*s = Step{From: at, To: next, Err: err}
			default:
				*s = Step{From: at, To: next, Record: r, Stray: v.stray(next, &r)}
				least = r.Seq + 1
			}
			if !yield(s) {
				return
			}
		}
	}
}

// Flips returns where a segment that is not cold has flipped bits that its checksums tell, by byte.
// With mend it flips them back in the file, and syncs.
func (in *Inspection) Flips(f FileInfo, mend bool) (at []int64, err error) {
	r, err := segment.ScrubHot(in.fs, in.Path(f), f.Number, segment.HotOptions{Mend: mend})
	for _, d := range r.Damaged[r.Lost:] {
		at = append(at, int64(d.From))
	}
	return at, err
}

// stray reports whether the bytes that pad a record to a multiple of [segment.Align] are not zeros.
func (v *SegmentView) stray(to uint32, r *segment.Record) (stray bool) {
	n := r.Padding()
	if n == 0 || v.b == nil {
		return false
	}
	var err error // cannot occur: At has just read the page
	defer segment.Guard(v.Path(), debug.SetPanicOnFault(true), &err)
	return !blank.Bytes(v.b[to-n : to])
}
