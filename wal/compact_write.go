package wal

// Compaction, the mechanism: it merges adjacent segments into one cold segment, or deletes them.
//
// The new file is written under a temporary name, synced and renamed; then the directory is synced,
// and only then the old files are deleted. The new file's name contains the numbers of the old ones
// (see files.ColdName), so the next start knows after any crash which file replaces which. Records
// are left out only if every consumer has taken them and that is on stable storage.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// errInterrupted: a caller of interrupt cannot wait for the rewriting under way. It starts again
// later.
var errInterrupted = errors.New("compaction was interrupted")

// rewriteRun replaces a run of segments by one with their live records.
func (k *compactor) rewriteRun(run []candidate) error {
	l := k.l
	if len(run) == 0 || !k.claim(run) {
		return nil
	}
	defer func() { // after the old files are closed, which frees their space
		l.background.reserve.takeBack()
		l.requestCleanup() // for what waited for the reserve
	}()
	defer k.unclaim(run)
	for i := range run {
		if _, err := l.holdFile(run[i].f); err != nil {
			for j := range i {
				l.release(run[j].f)
			}
			return err
		}
	}
	defer func() {
		for i := range run {
			l.release(run[i].f)
		}
	}()
	first, end := run[0].f.first, run[len(run)-1].end
	var dead []offset.Span
	l.eachDead(first, end, func(x offset.Span) { dead = append(dead, x) })
	if len(dead) > 0 {
		if err := l.Sync(); err != nil {
			return err
		}
	}
	if coversAll(dead, first, end) {
		return k.replaceRun(run, nil)
	}
	if err := k.setAsideDamage(run); err != nil {
		return err
	}
	made, err := k.writeCold(run, dead)
	if disk.IsFull(err) && l.background.reserve.lend() {
		made, err = k.writeCold(run, dead)
	}
	if err == nil {
		err = k.replaceRun(run, made)
	}
	return err
}

// removeDead deletes segments without live records, wherever they stand. It also rewrites the
// segment with the fewest live records, if they are few.
func (k *compactor) removeDead() {
	k.l.saveUnsaved()
	s := k.survey()
	s.forSpace = true
	for i := range s.list {
		if s.list[i].live == 0 {
			if err := k.rewriteRun(s.list[i : i+1]); err != nil {
				return // the background tries again and logs the error
			}
		}
	}
	if i := s.emptiest(); i >= 0 && s.list[i].live > 0 {
		k.rewriteRun(s.joined(i))
	}
}

// takenInTheMiddle reports whether a consumer has taken something out of order.
func (l *Log) takenInTheMiddle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consumers {
		if c.st.Taken.Count > 0 {
			return true
		}
	}
	return false
}

// coversAll reports whether dead covers all of [from, to).
func coversAll(dead []offset.Span, from, to uint64) bool {
	for _, x := range dead {
		if x.From > from {
			return false
		}
		from = x.To + 1
	}
	return from >= to
}

// claim keeps others from deleting segments while they are compacted. It is false when one is gone
// already.
func (k *compactor) claim(run []candidate) bool {
	l := k.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range run {
		if c.f.gone || l.closed {
			return false
		}
	}
	for _, c := range run {
		c.f.compacting = true
	}
	return true
}

func (k *compactor) unclaim(run []candidate) {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	for _, c := range run {
		c.f.compacting = false
	}
}

// holdFile pins a segment and opens it if need be.
func (l *Log) holdFile(f *file) (*file, error) {
	l.mu.Lock()
	if l.closed || f.gone {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	return l.pinAndUnlock(f)
}

// setAsideDamage copies damaged bytes of a run into the quarantine, because the new file will not
// have them. A cold block that cannot be rebuilt is an error: the disk may return it another time.
func (k *compactor) setAsideDamage(run []candidate) error {
	l := k.l
	for _, c := range run {
		var found []segment.Damage
		var rebuilt uint64
		if c.f.cold {
			r, err := segment.Scrub(l.fs, c.f.path, false, k.paced)
			if err != nil {
				return err
			}
			if r.Lost > 0 {
				return fmt.Errorf("%s: %w beyond its parity; stop the server and run darner-fsck",
					c.f.path, ErrDamaged)
			}
			l.noteMended(uint64(r.Flipped)) // the new file has them as they were written
		} else {
			v, err := c.f.seg.Judge()
			if err != nil {
				return err
			}
			found = v.Damage
			l.noteMended(uint64(v.Mended))
			rebuilt = c.f.seg.Rebuilt()
		}
		l.mu.Lock()
		c.f.rebuilt = max(c.f.rebuilt, rebuilt)
		l.noteDamageLocked(c.f, found)
		l.mu.Unlock()
	}
	l.setAside()
	return nil
}

// writeCold makes the new file under its final name. After an error nothing is left of it.
func (k *compactor) writeCold(run []candidate, dead []offset.Span) (*file, error) {
	l := k.l
	sources := make([]*segment.Segment, len(run))
	for i, c := range run {
		sources[i] = c.f.seg
	}
	first, last := run[0].f, run[len(run)-1].f
	made := &file{first: first.first, through: last.through, cold: true, named: true, sealed: true}
	made.path = l.path(files.ColdName(made.first, made.through))
	part := made.path + files.RewriteSuffix
	err := segment.WriteCold(l.fs, part, sources, l.o.cold(), l.wanted(dead), k.paced)
	if err != nil {
		return nil, err
	}
	if l.isClosed() {
		return nil, errors.Join(ErrClosed, l.fs.Remove(part))
	}
	if err := l.fs.Rename(part, made.path); err != nil {
		return nil, errors.Join(err, l.fs.Remove(part))
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return nil, l.fail(err)
	}
	seg, found, err := segment.Open(l.fs, made.path, segment.OpenOptions{First: made.first})
	if err != nil {
		return nil, fmt.Errorf("a cold segment just written: %w", err)
	}
	made.setOpenLocked(seg)
	made.size = seg.Size()
	l.mu.Lock()
	l.noteDamageLocked(made, found)
	l.mu.Unlock()
	return made, nil
}

// wanted returns a function that says of records, in order, whether to keep them.
func (l *Log) wanted(dead []offset.Span) func(r *segment.Record) bool {
	i, last := 0, uint64(0)
	return func(r *segment.Record) bool {
		if r.Seq <= last { // the caller began again
			i = 0
		}
		last = r.Seq
		for i < len(dead) && dead[i].To < r.Seq {
			i++
		}
		return i == len(dead) || r.Seq < dead[i].From
	}
}

// paced keeps compaction to its rate, and ends it when the log is closed or somebody waits.
func (k *compactor) paced(n int) error {
	if !k.isForSpace() {
		k.l.background.pace.wait(n, k.l.background.closing)
	}
	switch {
	case k.l.isClosed():
		return ErrClosed
	case k.interrupts.Load() > 0:
		return errInterrupted
	}
	return nil
}

// replaceRun puts made, if any, in the place of a run, and deletes the run's files.
func (k *compactor) replaceRun(run []candidate, made *file) error {
	l := k.l
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		if made != nil {
			made.seg.Close()
		}
		return ErrClosed
	}
	gone := make([]*file, len(run))
	for i, c := range run {
		gone[i] = c.f
	}
	i := l.indexLocked(gone[0].first)
	var put []*file
	if made != nil {
		put = append(put, made)
		l.stats.compactions.Add(1)
	}
	rest := l.files[i+len(run):]
	l.files = append(append(append([]*file(nil), l.files[:i]...), put...), rest...)
	l.dropLocked(gone)
	l.dirty.dir = true
	l.touchLocked()
	l.mu.Unlock()
	l.setAside() // readers may have found damage in them meanwhile
	for _, f := range gone {
		if made == nil || f.path != made.path {
			if err := l.fs.Remove(f.path); err != nil && !isNotExist(err) {
				l.log.Warn("cannot delete a compacted segment", "file", f.path, "error", err)
			}
		}
		l.release(f)
	}
	return nil
}
