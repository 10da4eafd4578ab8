package fsck

// Repairing one queue. The order of the steps makes it safe to be killed at any point. Bodies get
// their names before a segment is sealed. Damaged bodies go to the quarantine before their items
// are marked as taken, because the server would delete them then. Lost items are marked as taken
// before the segment that shows the loss is replaced. Bytes are copied to the quarantine before
// they are removed. Every file is replaced by a new one that was synced before it was renamed.

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/inspect"
)

// repair mends what an examination found.
type repair struct {
	*run
	e           *examination
	t           *tally
	actions     int
	counts      map[string]int // number of steps of each kind
	quarantined bool           // the queue's directory in the quarantine is there
}

// maxActions is how many steps of one kind are listed for a queue; the others are counted.
const maxActions = 100

// all takes all steps. It stops at the first that fails.
func (r *repair) all() {
	r.counts = make(map[string]int)
	defer r.finish()
	if r.e.noRepair || r.e.in == nil {
		return
	}
	for _, step := range []func() error{
		r.removeUnfinished, r.nameBodies, r.removeUploads, r.freeNames, r.nameSegments,
		r.moveBodies, r.mendBodies, r.writeOffsets, r.clearSuperseded, r.mendSegments,
	} {
		if err := step(); err != nil {
			r.failed(err)
			return // later steps may rely on it
		}
	}
}

// failed reports the step that failed. The steps before it stay, and are safe.
func (r *repair) failed(err error) {
	what := "the repair stops here: " + err.Error()
	if disk.IsFull(err) {
		most := int64(0)
		for _, s := range r.e.segments {
			most = max(most, s.file.Size)
		}
		what += fmt.Sprintf(" (a segment is mended by writing it anew: free %s and run it again)",
			Size(most+1<<20))
	}
	r.t.add(Finding{Severity: Trouble, Kind: NotDone, What: what})
}

// do takes a step and reports it. In a dry run it only reports it.
func (r *repair) do(file, what string, step func() error) error {
	if !r.o.DryRun {
		if err := step(); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	r.report(file, what)
	return nil
}

// report counts a step, and passes it on unless there were many of its kind.
func (r *repair) report(file, what string) {
	r.actions++
	if r.counts[what]++; r.counts[what] > maxActions {
		return
	}
	r.emit(file, what)
}

// finish reports how many steps were not listed.
func (r *repair) finish() {
	for _, what := range slices.Sorted(maps.Keys(r.counts)) {
		if more := r.counts[what] - maxActions; more > 0 {
			r.emit("", fmt.Sprintf("and %d more %s", more, what))
		}
	}
}

func (r *repair) emit(file, what string) {
	if r.o.Action != nil {
		r.o.Action(Action{Queue: r.q.Name, File: file, What: what})
	}
}

func (r *repair) path(name string) string { return r.e.in.Path(inspect.FileInfo{Name: name}) }

// sync syncs the queue's directory.
func (r *repair) sync() error {
	if r.o.DryRun {
		return nil
	}
	return r.o.FS.SyncDir(r.q.Path)
}

// rename renames a file, unless the new name is in use.
func (r *repair) rename(from, to string) error {
	if r.e.exists(to) {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	return r.o.FS.Rename(r.path(from), r.path(to))
}

// removeAll removes files of one kind. It reports them as one step: there may be a million.
func (r *repair) removeAll(files []inspect.FileInfo, what string) error {
	if len(files) == 0 {
		return nil
	}
	for _, f := range files {
		if r.o.DryRun {
			break
		}
		if err := r.o.FS.Remove(r.e.in.Path(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	name := files[0].Name
	if n := len(files); n > 1 {
		what, name = fmt.Sprintf("%s (%d files)", what, n), ""
	}
	r.report(name, what)
	return r.sync()
}

// removeUnfinished removes files that a compaction or a repair left unfinished.
func (r *repair) removeUnfinished() error {
	if err := r.removeAll(r.e.in.Files(inspect.UnfinishedFile),
		"removed, a cold segment that was not finished"); err != nil {
		return err
	}
	return r.removeAll(r.e.in.Files(inspect.MendFile),
		"removed, the rest of a repair that was interrupted")
}

// nameBodies renames bodies from their uploads' names to their own.
func (r *repair) nameBodies() error {
	if len(r.e.claimed) == 0 {
		return nil
	}
	for _, f := range r.e.in.Files(inspect.PartFile) {
		seq := r.e.claimed[f.Number]
		if seq == 0 {
			continue
		}
		err := r.do(f.Name, "renamed to "+inspect.BodyName(seq), func() error {
			return r.rename(f.Name, inspect.BodyName(seq))
		})
		if err != nil {
			return err
		}
	}
	return r.sync()
}

// removeUploads removes interrupted uploads.
func (r *repair) removeUploads() error {
	var broken []inspect.FileInfo
	for _, f := range r.e.in.Files(inspect.PartFile) {
		if r.e.claimed[f.Number] == 0 {
			broken = append(broken, f)
		}
	}
	return r.removeAll(broken, "removed, an upload that broke off")
}

// freeNames frees names that other segments will get, as when two were swapped. The files get names
// that the server ignores, and that a next repair recognises.
func (r *repair) freeNames() error {
	wanted := make(map[string]bool)
	for _, s := range r.e.segments {
		if s.rename {
			wanted[s.name] = true
		}
	}
	for _, s := range r.e.segments {
		if !wanted[s.file.Name] || s.file.Kind == inspect.MovingFile {
			continue
		}
		if !s.rename {
			if err := r.setAside(s); err != nil {
				return err
			}
			s.fix = nothing
			continue
		}
		name := inspect.MovingName(s.name)
		if err := r.do(s.file.Name, "renamed to "+name+" for now",
			func() error { return r.rename(s.file.Name, name) }); err != nil {
			return err
		}
		if !r.o.DryRun {
			s.file.Name = name
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return r.sync()
}

// nameSegments names segments after their first items, and removes unused spares.
func (r *repair) nameSegments() error {
	used := make(map[string]bool)
	for _, s := range r.e.segments {
		used[s.file.Name] = true
		if !s.rename {
			continue
		}
		err := r.do(s.file.Name, "renamed to "+s.name, func() error {
			return r.rename(s.file.Name, s.name)
		})
		if err != nil {
			return err
		}
		if r.o.DryRun {
			continue
		}
		s.file.Name = s.name
		if err := r.sync(); err != nil {
			return err
		}
	}
	var unused []inspect.FileInfo
	for _, f := range r.e.in.Files(inspect.SpareFile) {
		if !used[f.Name] {
			unused = append(unused, f)
		}
	}
	return r.removeAll(unused, "removed, a segment prepared and never used")
}

// writeOffsets rewrites the offset files that are damaged, and those of consumers that want lost
// items: lost items count as taken from now on.
func (r *repair) writeOffsets() error {
	for _, c := range r.e.consumers {
		marked := false
		for x, bytes := range r.e.lost.Ranges() {
			for from, to := range c.state.Missing(x[0], x[1]) {
				if marked = true; from > x[0] || to < x[1] {
					bytes = 0 // those of a part are not known
				}
				c.state.Take(from, to, bytes)
			}
		}
		if !marked && !c.rewrite {
			continue
		}
		c.state.Log = r.e.in.Log
		if err := r.writeOffsetFile(c, marked); err != nil {
			return err
		}
	}
	return nil
}

func (r *repair) writeOffsetFile(c *consumer, marked bool) error {
	name := inspect.OffsetName(c.name)
	what := "written anew"
	if marked {
		what += "; what is lost counts as taken"
	}
	return r.do(name, what, func() error {
		if c.keep {
			for _, f := range c.files {
				if err := r.keep(f.Name, 0, f.Size,
					"did not verify throughout; what it says was written anew"); err != nil {
					return err
				}
			}
		}
		return inspect.WriteOffsets(r.o.FS, r.q.Path, c.state)
	})
}

// mendSegments applies each segment's fix.
func (r *repair) mendSegments() error {
	for _, s := range r.e.segments {
		var err error
		if s.err == errSuperseded {
			continue
		}
		if s.flipped && s.fix <= cutTail {
			err = r.do(s.file.Name, "mended in place, by its checksums", func() error {
				_, err := r.e.in.Flips(r.named(s.file), true)
				return err
			})
			if err != nil {
				return err
			}
		}
		switch s.fix {
		case cutTail:
			err = r.do(s.file.Name, "cut after the last record", func() error { return r.cut(s) })
		case rebuild:
			err = r.do(s.file.Name, "mended in place, from its parity and its other copies",
				func() error { return r.rebuild(s) })
		case copyOver:
			if s.cold.isCold {
				err = r.do(s.file.Name, "written anew from what can be read",
					func() error { return r.writeAnew(s) })
				break
			}
			err = r.do(s.file.Name, "written anew from its valid records, and completed",
				func() error { return r.copyOver(s) })
		case setAside:
			err = r.setAside(s)
		case remove:
			err = r.removeAll([]inspect.FileInfo{s.file}, "removed, nothing was in it")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setAside moves a segment to the quarantine.
func (r *repair) setAside(s *segmentFile) error {
	return r.do(s.file.Name, "moved to the quarantine", func() error {
		return r.moveAside(s.file, "no item in it can be read, or another segment has them")
	})
}

// mendBodies mends flipped bits in bodies.
func (r *repair) mendBodies() error {
	for _, b := range r.e.flipped {
		f := r.named(b.file)
		if err := r.do(f.Name, "mended in place, by its checksums", func() error {
			return r.e.in.MendBody(f, b.flips)
		}); err != nil {
			return err
		}
	}
	return nil
}

// named returns a body under the name that it has by now.
func (r *repair) named(f inspect.FileInfo) inspect.FileInfo {
	if inspect.KindOf(f.Name) == inspect.PartFile {
		f.Name = inspect.BodyName(r.e.claimed[f.Number])
	}
	return f
}

// moveBodies moves bodies without a readable item to the quarantine.
func (r *repair) moveBodies() error {
	for _, f := range r.e.aside {
		f = r.named(f)
		if err := r.do(f.Name, "moved to the quarantine", func() error {
			return r.moveAside(f, "is the body of an item that is lost")
		}); err != nil {
			return err
		}
	}
	return nil
}
