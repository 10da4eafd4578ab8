package items

import (
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

// PlanRewind works out what comes back when a queue is rewound to a point: of a time, to the first
// item that was set then or later. Nothing is changed before the plan's Do.
func PlanRewind(fsys disk.FS, q datadir.Queue, to Point, now time.Time) (*inspect.Rewind, error) {
	in, err := inspect.Open(fsys, q.Path)
	if err != nil {
		return nil, err
	}
	from := to.Seq
	if to.Time != 0 {
		if from, err = firstAt(fsys, q, to, now); err != nil {
			return nil, err
		}
	}
	return in.PlanRewind("", from, now.UnixMilli())
}

// PlanUndo works out what undoing the last rewind of a queue comes to.
func PlanUndo(fsys disk.FS, q datadir.Queue, now time.Time) (*inspect.Rewind, error) {
	in, err := inspect.Open(fsys, q.Path)
	if err != nil {
		return nil, err
	}
	return in.PlanUndo("", now.UnixMilli())
}

// firstAt finds the number of the first item at a point or behind it.
func firstAt(fsys disk.FS, q datadir.Queue, p Point, now time.Time) (uint64, error) {
	r, err := Read(fsys, q, now)
	if err != nil {
		return 0, err
	}
	for rec, err := range r.Records() {
		if err != nil {
			return 0, err
		}
		if p.reached(rec) {
			return rec.Seq, nil
		}
	}
	return nowhere, nil
}
