package fsck

import (
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

// Options for a run. The functions, which may be nil, are called during the run, on the caller's
// goroutine.
type Options struct {
	FS     disk.FS // default disk.OS{}
	Repair bool    // mend what can be mended
	DryRun bool    // with Repair: only report what would be done

	Finding  func(Finding)
	Action   func(Action)
	Row      func(Row)
	Use      func(Use)             // how each file's bytes are used
	Progress func(done, all int64) // bytes examined
}

// Run checks a data directory or a single queue's directory, and repairs it with Options.Repair.
// Without, it changes nothing. An error means that nothing could be examined: path is not such a
// directory, or it is in use (disk.ErrLocked).
func Run(path string, o Options) (res Result, err error) {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	d, err := datadir.Open(o.FS, path, IsLogFile)
	if err != nil {
		return res, err
	}
	top := newTally("", o.Finding)
	unlock, err := lock(d, &o, top)
	if err != nil {
		return res, err
	}
	defer unlock()
	lookAround(d, top)
	res.DryRun, res.asked = o.DryRun, o.Repair
	p := newProgress(d, &o)
	for _, q := range d.Queues {
		r := run{dir: d, q: q, o: &o, progress: p}
		r.queue(&res)
	}
	top.finish()
	res.count(top)
	res.Queues = len(d.Queues)
	return res, nil
}

// IsLogFile reports whether only a queue's log has a file of this name.
func IsLogFile(name string) bool { return inspect.KindOf(name) != inspect.ForeignFile }

// lock takes the data directory's lock. Where that is not possible, a check runs without it.
func lock(d *datadir.Dir, o *Options, t *tally) (unlock func() error, err error) {
	if o.Repair && !o.DryRun {
		l, err := d.Lock()
		if err != nil {
			return nil, err
		}
		return l.Close, nil
	}
	l, unlocked, err := d.LockForReading()
	if err != nil {
		return nil, err
	}
	if unlocked != nil {
		t.note("", NotLocked, "examined without a lock, as if no server were running: %v", unlocked)
	}
	return l.Close, nil
}

// lookAround reports what else is in the data directory. None of it is touched.
func lookAround(d *datadir.Dir, t *tally) {
	if d.Trash > 0 {
		t.note(datadir.TrashName, Trash, "deleted queues that the server is about to remove")
	}
	for _, name := range d.Others {
		t.note(name, Foreign, "does not belong to the server")
	}
}

// run is the work on one queue.
type run struct {
	dir      *datadir.Dir
	q        datadir.Queue
	o        *Options
	progress *progress
}

// queue checks the queue, repairs it if asked to, and adds to the result.
func (r *run) queue(res *Result) {
	t := newTally(r.q.Name, r.o.Finding)
	lock, err := r.dir.LockQueue(r.q)
	if err != nil {
		t.add(Finding{Severity: Trouble, Kind: InUse, What: err.Error()})
		res.count(t)
		return
	}
	defer lock.Close()
	e := r.examine(t)
	t.finish()
	res.count(t)
	res.Lost += e.row.Lost
	left := t.counts[Damage]
	if !e.noRepair {
		res.mendable += left
	}
	if r.o.Repair {
		f := repair{run: r, e: e, t: newTally(r.q.Name, r.o.Finding)}
		f.all()
		res.Actions += f.actions
		res.Trouble += f.t.counts[Trouble]
		if f.actions > 0 && !r.o.DryRun {
			e, left = r.again()
		}
	}
	res.Left += left
	res.Items += e.row.Items
	if r.o.Row != nil {
		r.o.Row(e.row)
	}
}

// again examines the queue after a repair, and counts the damage left.
func (r *run) again() (*examination, int) {
	t := newTally(r.q.Name, r.o.Finding)
	t.left = true
	second := run{dir: r.dir, q: r.q, o: &Options{FS: r.o.FS}, progress: new(progress)}
	e := second.examine(t)
	t.finish()
	return e, t.counts[Damage]
}

func (res *Result) count(t *tally) {
	res.Notes += t.counts[Note]
	res.Damage += t.counts[Damage]
	res.Trouble += t.counts[Trouble]
}

// progress counts the bytes examined.
type progress struct {
	done, all int64
	report    func(done, all int64) // nil: nobody wants to know
}

// newProgress adds up the sizes of all files, if anybody wants to know.
func newProgress(d *datadir.Dir, o *Options) *progress {
	p := &progress{report: o.Progress}
	if o.Progress == nil {
		return p
	}
	for _, q := range d.Queues {
		entries, _ := o.FS.ReadDir(q.Path)
		for _, e := range entries {
			p.all += e.Size
		}
	}
	return p
}

func (p *progress) add(n int64) {
	if p.report != nil {
		p.done = min(p.done+n, p.all)
		p.report(p.done, p.all)
	}
}
