package inspect

// Rewinding: while the log is closed, a consumer's offset file is changed so that taken items that
// are still on disk come again. What was taken before is kept for an undo.

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
	"github.com/darner/darner/wal/internal/settle"
)

// ErrNoUndo: there is no rewind that could be undone.
var ErrNoUndo = errors.New("there is no rewind to undo")

// Rewind is a change of what a consumer has taken. It was planned but not made yet. Nothing may
// write to the log between planning and Do.
type Rewind struct {
	Items, Bytes int64  // that come again or, in an undo, count as taken again
	Expired      int64  // how many of these have expired; they will not be delivered
	Bodiless     int64  // large items that cannot come again, because their bodies are deleted
	First, Last  uint64 // sequence numbers of the items
	Undo         bool

	in      *Inspection
	fresh   *Offsets // the state after the change
	current *Offsets
}

// Taken returns what a consumer has taken, according to its offset file and the rewrite that a
// crash may have left. Without a file it has taken nothing. Errors are those of ReadOffsets, except
// ErrBlankOffsets.
func (in *Inspection) Taken(consumer string) (*Offsets, error) {
	var all *Offsets
	for _, f := range slices.Concat(in.Files(OffsetFile), in.Files(RewriteFile)) {
		if f.Consumer() != consumer {
			continue
		}
		v, err := in.ReadOffsets(f)
		switch {
		case errors.Is(err, ErrBlankOffsets):
		case err != nil:
			return nil, err
		case in.Foreign(v.Log):
		case all == nil:
			all = &v.Offsets
		default:
			all.Unite(&v.Offsets)
		}
	}
	if all == nil {
		all = NewOffsets(consumer, 0, 0, 0)
		all.Log = in.Log
	}
	return all, nil
}

// InOrder returns the segments in the order of the log. Spares that were started before a crash are
// among them. Spares that were never started are not, and neither are segments that a compaction
// was about to delete.
func (in *Inspection) InOrder() ([]FileInfo, error) {
	s, err := settle.Look(in.fs, in.Dir, &in.list, in.Log)
	if err != nil {
		return nil, err
	}
	list, err := files.WithoutSuperseded(s.Segments, in.replaces)
	return slices.CompactFunc(list, func(a, b FileInfo) bool { return a.Number == b.Number }), err
}

// replaces reports whether a cold segment can be read. If not, recovery keeps what it was to
// replace.
func (in *Inspection) replaces(cold, _ FileInfo) (bool, error) {
	v, err := in.OpenSegment(cold)
	if segment.Unreadable(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, v.Close()
}

// PlanRewind plans to let taken items come again, from a sequence number on. An item that expires
// before now, in Unix ms, counts as expired.
func (in *Inspection) PlanRewind(consumer string, from uint64, now int64) (*Rewind, error) {
	current, err := in.Taken(consumer)
	if err != nil {
		return nil, err
	}
	r := &Rewind{in: in, current: current}
	var runs []offset.Span
	err = in.eachTaken(current, func(rec *segment.Record, size int64) {
		switch {
		case rec.Seq < from:
		case !in.hasBody(rec):
			r.Bodiless++
		default:
			r.note(rec, size, now)
			runs = extend(runs, rec.Seq, uint64(size))
		}
	})
	if err != nil {
		return nil, err
	}
	r.fresh = current.without(runs)
	return r, nil
}

// PlanUndo plans to undo all rewinds since the last undo: everything taken before any of them, and
// everything taken since, counts as taken. If there was no rewind, the error is ErrNoUndo.
func (in *Inspection) PlanUndo(consumer string, now int64) (*Rewind, error) {
	current, err := in.Taken(consumer)
	if err != nil {
		return nil, err
	}
	former, err := in.undo(consumer)
	if err != nil {
		return nil, err
	}
	former.Unite(current)
	r := &Rewind{in: in, current: current, fresh: former, Undo: true}
	err = in.eachTaken(r.fresh, func(rec *segment.Record, size int64) {
		if !current.Has(rec.Seq) {
			r.note(rec, size, now)
		}
	})
	return r, err
}

// Do makes the change. If it is killed at any point, the old state or the new one is there, and the
// new one only with the means to undo it.
func (r *Rewind) Do() error {
	fsys, dir := r.in.fs, r.in.Dir
	path := filepath.Join(dir, files.OffsetName(r.fresh.Consumer))
	if r.Items == 0 && !r.Undo {
		return nil
	}
	if r.Undo {
		if err := WriteOffsets(fsys, dir, r.fresh); err != nil {
			return err
		}
		return errors.Join(fsys.Remove(path+files.UndoSuffix), fsys.SyncDir(dir))
	}
	// This leaves one file, without an interrupted rewrite that a kill could leave beside the new
	// state.
	if err := WriteOffsets(fsys, dir, r.current); err != nil {
		return err
	}
	if err := r.in.writeUndo(r.current); err != nil {
		return err
	}
	return WriteOffsets(fsys, dir, r.fresh)
}

func (r *Rewind) note(rec *segment.Record, size, now int64) {
	if r.Items == 0 {
		r.First = rec.Seq
	}
	r.Last = rec.Seq
	r.Items++
	r.Bytes += size
	if rec.Expires != 0 && rec.Expires <= now {
		r.Expired++
	}
}

// eachTaken calls fn with the taken records that are on disk. It skips segments that cannot be
// read.
func (in *Inspection) eachTaken(o *Offsets, fn func(r *segment.Record, size int64)) error {
	list, err := in.InOrder()
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.Number >= o.End() {
			break
		}
		v, err := in.OpenSegment(f)
		if segment.Unreadable(err) {
			continue
		}
		if err != nil {
			return err
		}
		for s := range v.Steps() {
			if v.Header().First == f.Number && s.Err == nil && o.Has(s.Record.Seq) {
				fn(&s.Record, ItemSize(&s.Record))
			}
		}
		if err := v.Close(); err != nil {
			return err
		}
	}
	return nil
}

// hasBody reports whether an item can still be read. The body of a large item is deleted when it is
// taken.
func (in *Inspection) hasBody(r *segment.Record) bool {
	size, upload, large := LargeItem(r)
	if !large {
		return r.Kind == segment.KindItem
	}
	f, ok := in.Body(r.Seq, upload)
	return ok && f.Size == BodyFileSize(size)
}

// Body finds the file with the body of a large item: under the item's name or, after a crash, still
// under its upload's name.
func (in *Inspection) Body(seq, upload uint64) (FileInfo, bool) {
	byNumber := func(f FileInfo, n uint64) int { return cmp.Compare(f.Number, n) }
	if i, ok := slices.BinarySearchFunc(in.Files(BodyFile), seq, byNumber); ok {
		return in.Files(BodyFile)[i], true
	}
	if i, ok := slices.BinarySearchFunc(in.Files(PartFile), upload, byNumber); ok {
		return in.Files(PartFile)[i], true
	}
	return FileInfo{}, false
}

// extend adds an item to runs of consecutive items.
func extend(runs []offset.Span, seq, size uint64) []offset.Span {
	if n := len(runs); n > 0 && runs[n-1].To+1 == seq {
		runs[n-1].To = seq
		runs[n-1].Bytes += size
		return runs
	}
	return append(runs, offset.Span{From: seq, To: seq, Bytes: size})
}

// without returns the state without some runs, which are ordered, disjoint, not adjacent, and
// taken.
func (o *Offsets) without(runs []offset.Span) *Offsets {
	return &Offsets{Consumer: o.Consumer, Log: o.Log, State: o.Without(runs)}
}

// writeUndo writes a state for an undo, as WriteOffsets does. It unites it with that of a pending
// undo, so that an undo undoes all rewinds.
func (in *Inspection) writeUndo(o *Offsets) error {
	all := o.without(nil)
	former, err := in.undo(o.Consumer)
	if err == nil {
		all.Unite(former)
	}
	// A state that cannot be read can undo nothing any more. That is no reason to refuse a rewind.
	path := filepath.Join(in.Dir, files.OffsetName(o.Consumer)+files.UndoSuffix)
	return offset.Write(in.fs, path, &all.State, all.Log)
}

// undo reads the state that an undo would restore.
func (in *Inspection) undo(consumer string) (*Offsets, error) {
	list := in.Files(UndoFile)
	name := files.OffsetName(consumer) + files.UndoSuffix
	i := slices.IndexFunc(list, func(f FileInfo) bool { return f.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("%s: %w", in.Dir, ErrNoUndo)
	}
	v, err := in.ReadOffsets(list[i])
	if err != nil {
		return nil, err
	}
	v.Offsets.Consumer = consumer
	return &v.Offsets, nil
}
