package items

import (
	"time"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

// PlanRewind finds the items that come back when a queue is rewound to a point. A time means the
// first item that was set then or later. Only the plan's Do changes anything.
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

// PlanUndo finds what undoing the last rewind of a queue does.
func PlanUndo(fsys disk.FS, q datadir.Queue, now time.Time) (*inspect.Rewind, error) {
	in, err := inspect.Open(fsys, q.Path)
	if err != nil {
		return nil, err
	}
	return in.PlanUndo("", now.UnixMilli())
}

// firstAt returns the number of the first item at a point or after it.
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
	return afterAll, nil
}
