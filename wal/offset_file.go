package wal

// How offset files are made, written and rewritten, and how large they get.

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// rewriteBound is how many bytes of entries an offset file may gather before it is rewritten from
// its live state. These are some 8,000 entries: rewrites are rare, and loading the file is quick.
func (l *Log) rewriteBound() int { return min(256<<10, l.offsetCapacity()/2) }

// offsetCapacity is how many bytes of an offset file are mapped: half a million entries, so that
// takers never overtake a background that waits for a sync. The map takes address space alone, but
// a 32-bit process has little of that.
func (l *Log) offsetCapacity() int {
	if l.o.offsetCapacity > 0 {
		return l.o.offsetCapacity
	}
	return offsetCapacity(disk.MostMapped())
}

// offsetCapacity is 16 MiB, but 1 MiB in a 32-bit process.
func offsetCapacity(addresses int64) int {
	return int(min(max(256<<10, addresses/1536&^(64<<10-1)), 16<<20))
}

// Mapped returns about how many bytes of address space a log takes with segments of a size, if all
// maps of the process may take all bytes: the segment being written, the next one, the one being
// read, and one consumer's offset file.
func Mapped(segmentSize, all int64) int64 { return 3*segmentSize + int64(offsetCapacity(all)) }

// rewrite replaces the consumer's file by one with just the live state. Takers go on meanwhile,
// first in the old file, then in the new one. Both exist until the new one is renamed over the old
// one; recovery unites them. The new file gets room bytes of blocks if the disk has them, so that
// takers allocate nothing. It takes Log.mu.
func (c *Consumer) rewrite(room int) error {
	l := c.l
	l.commit.syncing.Lock()
	defer l.commit.syncing.Unlock()
	l.commit.replacing.Lock()
	defer l.commit.replacing.Unlock()
	path := l.path(files.OffsetName(c.name))
	if c.off.Path != path { // the last rewrite could not rename it
		if err := l.replace(path, c.off); err != nil {
			return l.unreplaced(err)
		}
		l.named(c.off, path)
	}
	l.mu.Lock()
	capacity := max(l.offsetCapacity(), 4*c.live()) // for any number of ranges
	l.mu.Unlock()
	fresh, err := offset.Create(l.fs, path+files.RewriteSuffix, capacity, c.st.Created, l.id)
	if err != nil {
		return err
	}
	if err := fresh.Reserve(room); err != nil && !disk.IsFull(err) {
		return errors.Join(err, fresh.Close(), l.fs.Remove(fresh.Path))
	}
	old, err := c.moveTo(fresh)
	if err != nil {
		fresh.Close()
		l.fs.Remove(fresh.Path)
		return err
	}
	if err = l.replace(path, fresh); err == nil {
		fresh.MarkSynced()
	}
	if err = errors.Join(err, old.Close()); err != nil {
		return l.unreplaced(err)
	}
	l.stats.rewrites.Add(1)
	l.named(fresh, path)
	return nil
}

// named notes the new name of an offset file. The next sync makes the name durable; until then the
// old file has what was synced.
func (l *Log) named(o *offset.File, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o.Path, l.dirty.dir, l.dirty.names = path, true, true
	l.touchLocked()
}

func (l *Log) unreplaced(err error) error {
	if errors.Is(err, errUnnamed) {
		return err
	}
	return l.fail(err)
}

// live is how many bytes the consumer's state takes in a file.
func (c *Consumer) live() int { return c.st.Size() }

// moveTo fills a blank file with the live state, and has takers write to it from then on. It takes
// Log.mu.
func (c *Consumer) moveTo(fresh *offset.File) (old *offset.File, err error) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, l.failed
	}
	fresh.ContinueFrom(c.off)
	c.st.Durable = l.durable
	if err := fresh.Fill(&c.st, true); err != nil {
		return nil, err
	}
	if c.unsaved { // bodies that it held back may be deleted now
		l.uploads.sweep = l.uploads.count > 0
	}
	old, c.off, c.unsaved = c.off, fresh, false
	c.rewriteAt = max(l.rewriteBound(), 2*c.live())
	return old, nil
}

// errUnnamed: a full disk has no space to rename a file. That loses nothing.
var errUnnamed = errors.New("file keeps its temporary name")

// replace makes the new file durable, then renames it over the old one.
func (l *Log) replace(path string, fresh *offset.File) error {
	if err := fresh.Sync(); err != nil {
		return err
	}
	if err := l.fs.Rename(fresh.Path, path); disk.IsFull(err) {
		return fmt.Errorf("%w: %w", errUnnamed, err)
	} else if err != nil {
		return err
	}
	return nil
}

// ensureFile makes the offset file if there is none. It waits for the disk under Log.mu, so it is
// for recovery.
func (c *Consumer) ensureFile() error {
	if c.off != nil {
		return nil
	}
	off, err := c.l.blankOffsets(c.name, c.live(), c.st.Created)
	if err != nil {
		return err
	}
	return c.adoptFile(off)
}

// adoptFile makes a blank file the consumer's and fills it with what is taken. After an error
// nothing is left of it.
func (c *Consumer) adoptFile(off *offset.File) error {
	if err := off.Fill(&c.st, false); err != nil {
		return errors.Join(err, off.Close(), c.l.fs.Remove(off.Path))
	}
	c.off, c.dirty, c.unsaved = off, true, false
	c.l.dirty.dir, c.l.dirty.names = true, true
	c.rewriteAt = max(c.l.rewriteBound(), 2*c.live())
	return nil
}

func (c *Consumer) saveHead() {
	if c.off == nil {
		c.requestFile()
		return
	}
	c.off.SetHead(c.st.Head, c.st.Below)
}

// requestFile has the background make the file, so that no taker waits. Until then what is taken is
// in memory alone.
func (c *Consumer) requestFile() {
	c.unsaved = true
	if !c.rewriteRequested {
		c.rewriteRequested = true
		c.l.requestCleanup()
	}
}

// save appends an entry. If the file has no place for it, what it says is in memory alone until the
// file is rewritten, and a crash brings the items back, or forgets their deliveries.
func (c *Consumer) save(e offset.Entry) {
	if c.off == nil {
		c.requestFile()
		return
	}
	for !c.off.Add(e) {
		if c.l.background.reserve.lent.Load() || c.off.Grow() != nil {
			c.unsaved = true
			break
		}
	}
	c.requestRewriteIfDue()
}

// requestRewriteIfDue has the background rewrite the file once that is due.
func (c *Consumer) requestRewriteIfDue() {
	if (c.unsaved || c.off.End() >= c.rewriteAt) && !c.rewriteRequested {
		c.rewriteRequested = true
		if !c.l.cleaning.rewriteAhead {
			c.l.requestCleanup()
		}
	}
}

// checkpoint notes the head in the file, and how much of the log is durable.
func (c *Consumer) checkpoint() {
	c.off.Checkpoint(c.st.Head, c.st.Below, c.l.durable)
	c.requestRewriteIfDue()
}

// close closes the offset file, shrunk to one block if the state fits. If that fails, the file is
// as good as it was. It takes Log.mu.
func (c *Consumer) close(trim bool) error {
	if c.off == nil {
		return nil
	}
	var err error
	if trim && c.off.Allocated() > offset.FirstStep {
		err = c.rewrite(offset.FirstStep)
	}
	return errors.Join(err, c.off.Close())
}
