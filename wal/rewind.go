package wal

// Rewinding: a consumer's taken items, as far as they are still on disk, are put back by changing
// its offset file while the log is closed. What was taken before is kept for an undo.

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment"
)

// UndoSuffix ends the name of an offset file with what was taken before the rewinds. The log ignores it.
const UndoSuffix = ".undo"

// ErrNoUndo: no rewind has left anything to be undone.
var ErrNoUndo = errors.New("there is no rewind to undo")

// Rewind is a change of what a consumer has taken, worked out and not yet made. Nothing may write to
// the log between the one and the other.
type Rewind struct {
	Items, Bytes int64  // that are in the queue again, or, of an undo, taken again
	Expired      int64  // of them; they will not be delivered
	Bodiless     int64  // large items that would have come back, but their bodies are deleted
	First, Last  uint64 // sequence numbers of the items
	Undo         bool

	in      *Inspection
	fresh   *Offsets // the state to be
	current *Offsets
}

// Taken is what a consumer has taken: by its offset file and the rewrite of it that a crash may have
// left. Without a file it is nothing. Errors are those of ReadOffsets, save ErrBlankOffsets.
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

// InOrder lists the segments in the order of the log. Spares that were started before a crash are
// among them; those that never were are not, and neither is what a compaction was about to delete.
func (in *Inspection) InOrder() ([]FileInfo, error) {
	list := slices.Clone(in.Files(SegmentFile))
	for _, f := range in.Files(SpareFile) {
		v, err := in.OpenSegment(f)
		if lostWhole(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Number = v.Header().First
		f.Through = f.Number
		list = append(list, f)
		if err := v.Close(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b FileInfo) int { return cmp.Compare(a.Number, b.Number) })
	list, err := in.dropSuperseded(list)
	return slices.CompactFunc(list, func(a, b FileInfo) bool { return a.Number == b.Number }), err
}

// dropSuperseded leaves out what recovery removes: the segments that a cold one stands for, or,
// when nothing of that can be read, the cold one.
func (in *Inspection) dropSuperseded(list []FileInfo) ([]FileInfo, error) {
	var kept []FileInfo
	for _, f := range list {
		n := len(kept)
		if n == 0 || !kept[n-1].Supersedes(f) && !f.Supersedes(kept[n-1]) {
			kept = append(kept, f)
			continue
		}
		cold, old := f, kept[n-1]
		if old.Supersedes(f) {
			cold, old = old, f
		}
		switch readable, err := in.opens(cold); {
		case err != nil:
			return nil, err
		case readable:
			kept[n-1] = cold
		default:
			kept[n-1] = old
		}
	}
	return kept, nil
}

// opens reports whether anything of a segment can be read.
func (in *Inspection) opens(f FileInfo) (bool, error) {
	v, err := in.OpenSegment(f)
	if lostWhole(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, v.Close()
}

// PlanRewind works out what putting back the taken items from a sequence number on comes to. An
// item that expires before now, in Unix ms, counts as expired.
func (in *Inspection) PlanRewind(consumer string, from uint64, now int64) (*Rewind, error) {
	current, err := in.Taken(consumer)
	if err != nil {
		return nil, err
	}
	r := &Rewind{in: in, current: current}
	var runs []span
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

// PlanUndo works out what undoing all rewinds since the last undo comes to: all is taken that was
// before any of them, and all that was taken since. Without a rewind it is ErrNoUndo.
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

// Do makes the change. Killed at any point it leaves what was before or what is to be, and what is
// to be only with the means to undo it.
func (r *Rewind) Do() error {
	fsys, dir := r.in.fs, r.in.Dir
	path := filepath.Join(dir, offsetName(r.fresh.Consumer))
	if r.Items == 0 && !r.Undo {
		return nil
	}
	if r.Undo {
		if err := WriteOffsets(fsys, dir, r.fresh); err != nil {
			return err
		}
		return errors.Join(fsys.Remove(path+UndoSuffix), fsys.SyncDir(dir))
	}
	// One file, without an interrupted rewrite, which a kill could leave beside what is to be.
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

// eachTaken goes through the taken records that are on disk. Segments that cannot be read have none.
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
		if lostWhole(err) {
			continue
		}
		if err != nil {
			return err
		}
		for s := range v.Steps() {
			if v.Header().First == f.Number && s.Err == nil && o.Has(s.Record.Seq) {
				fn(&s.Record, itemSize(&s.Record))
			}
		}
		if err := v.Close(); err != nil {
			return err
		}
	}
	return nil
}

// itemSize is what an item counts for, in bytes.
func itemSize(r *segment.Record) int64 {
	if size, _, ok := LargeItem(r); ok {
		return size
	}
	return int64(len(r.Payload))
}

// hasBody reports whether an item can still be read: the body of a large one goes when it is taken.
func (in *Inspection) hasBody(r *segment.Record) bool {
	size, upload, large := LargeItem(r)
	if !large {
		return r.Kind == segment.KindItem
	}
	f, ok := in.Body(r.Seq, upload)
	return ok && f.Size == BodyFileSize(size)
}

// Body finds the file with the body of a large item: under the item's name, or, after a crash, still
// under its upload's.
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

// extend adds an item to runs of consecutive ones.
func extend(runs []span, seq, size uint64) []span {
	if n := len(runs); n > 0 && runs[n-1].to+1 == seq {
		runs[n-1].to = seq
		runs[n-1].bytes += size
		return runs
	}
	return append(runs, span{seq, seq, size})
}

// without returns the state less the runs, which are in order, apart from each other, and taken.
func (o *Offsets) without(runs []span) *Offsets {
	n := NewOffsets(o.Consumer, o.st.head, o.st.below, o.Created)
	n.Log, n.st.durable = o.Log, o.st.durable
	o.st.taken.each(func(x span) bool { return n.st.taken.add(x) })
	for _, run := range slices.Backward(runs) {
		n.untake(run)
	}
	return n
}

// untake takes a run away that lies in one piece of what is taken.
func (o *Offsets) untake(run span) {
	if run.from < o.st.head {
		o.st.taken.add(span{from: run.to + 1, to: o.st.head - 1})
		o.st.head = run.from
		o.st.below -= min(o.st.below, run.bytes)
		return
	}
	x, _ := o.st.taken.find(run.from)
	o.st.taken.remove(x)
	left := x.bytes - min(x.bytes, run.bytes) // of both pieces: only the sum counts
	if run.from > x.from {
		o.st.taken.add(span{x.from, run.from - 1, left})
		left = 0
	}
	o.st.taken.add(span{run.to + 1, x.to, left})
}

// writeUndo keeps a state for an undo, as WriteOffsets does one. With an undo that is pending it is
// united, so that it undoes all rewinds there were: what the first of them put back as well.
func (in *Inspection) writeUndo(o *Offsets) error {
	all := o.without(nil)
	former, err := in.undo(o.Consumer)
	if err == nil {
		all.Unite(former)
	}
	// One that cannot be read can undo nothing any more, and is no reason to refuse a rewind.
	return all.writeTo(in.fs, filepath.Join(in.Dir, offsetName(o.Consumer)+UndoSuffix))
}

// undo reads the state that an undo brings back.
func (in *Inspection) undo(consumer string) (*Offsets, error) {
	files := in.Files(UndoFile)
	i := slices.IndexFunc(files, func(f FileInfo) bool { return f.Name == offsetName(consumer)+UndoSuffix })
	if i < 0 {
		return nil, fmt.Errorf("%s: %w", in.Dir, ErrNoUndo)
	}
	v, err := in.ReadOffsets(files[i])
	if err != nil {
		return nil, err
	}
	v.Offsets.Consumer = consumer
	return &v.Offsets, nil
}
