package inspect

import (
	"errors"
	"fmt"
	"iter"
	"runtime/debug"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/blank"
)

// SegmentView is one segment opened for examining. Close it.
type SegmentView struct {
	// Found is what opening noticed: copies of the header, the index, the tail; of a segment that
	// is not sealed also the ranges that Steps comes to.
	Found []segment.Damage

	// Stray is where bytes that nobody reads are not the zeros they should be, in the header.
	Stray []segment.Span

	// Headless: all copies of the header are lost, and the footer; the records tell enough of it.
	Headless bool

	seg   *segment.Segment
	fs    disk.FS
	b     []byte // the whole file, mapped; nil for a cold one
	unmap func([]byte) error
	block block // of a cold one: that Share was asked about last
}

// OpenSegment opens a segment, cold or not, or a spare. Errors are those of [segment.Open], ErrForeign among them. That its header says the
// number in its name is for the caller to check: recovery takes one that does not for no segment.
func (in *Inspection) OpenSegment(f FileInfo) (*SegmentView, error) {
	o := segment.OpenOptions{Log: in.Log}
	if f.Kind == SegmentFile {
		o.First = f.Number
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
		v.Headless = v.Headless || !seg.Sealed() && d.Meta && d.From == 0 && d.To == segment.HeaderSize
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

// findStray looks at the bytes behind each copy of the header that is sound.
func (v *SegmentView) findStray() (err error) {
	defer segment.Guard(v.Path(), debug.SetPanicOnFault(true), &err)
	const copies, used = segment.HeaderSize / 2, 128
	for at := 0; at < min(segment.HeaderSize, len(v.b)); at += copies {
		if !blank.Bytes(v.b[min(at+used, len(v.b)):min(at+copies, len(v.b))]) {
			v.Stray = append(v.Stray, segment.Span{From: uint32(at + used), To: uint32(at + copies)})
		}
	}
	return nil
}

// Header is the segment's header.
func (v *SegmentView) Header() segment.Header { return v.seg.Header() }

// Totals sums up its records: as its footer says if it is sealed, else those that are valid.
func (v *SegmentView) Totals() segment.Totals { return v.seg.Totals() }

// Sealed reports whether it ends in a sound footer.
func (v *SegmentView) Sealed() bool { return v.seg.Sealed() }

// Tail is where its records end.
func (v *SegmentView) Tail() uint32 { return v.seg.Tail() }

// Path is the file's path.
func (v *SegmentView) Path() string { return v.seg.Path() }

// Close ends the examination. No payload of a record may be used afterwards.
func (v *SegmentView) Close() error {
	if v.b == nil {
		return v.seg.Close()
	}
	err := v.unmap(v.b)
	v.b = nil
	return errors.Join(err, v.seg.Close())
}

// Step is one stretch of a segment.
type Step struct {
	From, To uint32         // offsets; in a cold segment they are virtual, see SegmentView.FileRange
	Err      error          // nil for a record; segment.ErrDamaged: no valid record is in it; segment.ErrFault: the disk does not give it
	Record   segment.Record // its payload aliases the map: read it under [segment.Guard], before Close
	Stray    bool           // the bytes that fill it up are not the zeros they should be; nobody reads them
}

// Steps goes through what stands between header and tail, in order, as a consumer does: records
// with rising sequence numbers, and the ranges between them that hold none. A Step is valid until
// the next.
func (v *SegmentView) Steps() iter.Seq[*Step] {
	return func(yield func(*Step) bool) {
		s := new(Step)
		least := v.Header().First
		for at := uint32(segment.HeaderSize); at < v.Tail(); at = s.To {
			r, next, err := v.seg.At(at)
			switch {
			case err != nil:
				*s = Step{From: at, To: v.seg.NextValid(at), Err: err}
			case r.Seq < least:
				*s = Step{From: at, To: next, Err: fmt.Errorf("item %d where at least %d belongs: %w", r.Seq, least, segment.ErrDamaged)}
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

// stray looks at the bytes that fill a record up to a multiple of [segment.Align].
func (v *SegmentView) stray(to uint32, r *segment.Record) (stray bool) {
	n := uint32(-len(r.Payload)) % segment.Align
	if n == 0 || v.b == nil {
		return false
	}
	var err error // a page that At has just read
	defer segment.Guard(v.Path(), debug.SetPanicOnFault(true), &err)
	return !blank.Bytes(v.b[to-n : to])
}
