package wal

import (
	"errors"
	"fmt"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// rewriteBound is how many bytes of entries an offset file may gather before it is rewritten from
// its live state. Some 8,000 entries: a rewrite is rare, and loading the file stays quick.
func (l *Log) rewriteBound() int { return min(256<<10, l.offsetCapacity()/2) }

// offsetCapacity is how far an offset file is mapped: half a million entries, so that takers never
// catch up with a background that is kept waiting by a sync. It is only address space, but not
// where addresses are few.
func (l *Log) offsetCapacity() int {
	if l.o.offsetCapacity > 0 {
		return l.o.offsetCapacity
	}
	return offsetCapacity(disk.MostMapped())
}

// offsetCapacity is 1 MiB in a 32-bit process.
func offsetCapacity(addresses int64) int {
	return int(min(max(256<<10, addresses/1536&^(64<<10-1)), 16<<20))
}

// Mapped returns how many bytes of addresses a log with segments of a size takes, about, where all maps may take so
// many: the segment that is written, the next one, the one that is read, and the offset file of one consumer.
func Mapped(segmentSize, all int64) int64 { return 3*segmentSize + int64(offsetCapacity(all)) }

// rewrite replaces the consumer's file by one that holds just its live state. Takers go on
// meanwhile, first in the old file, then in the new one. Until the new one is renamed over it both
// exist, and recovery unites them.
//
// The new file has room for so many bytes from the start, if the disk does: takers allocate nothing.
func (c *Consumer) rewrite(room int) error {
	l := c.l
	l.commit.syncing.Lock()
	defer l.commit.syncing.Unlock()
	path := l.path(files.OffsetName(c.name))
	if c.off.Path != path { // the last one kept its temporary name
		if err := l.replace(path, c.off); err != nil {
			return l.unreplaced(err)
		}
		l.named(c.off, path)
	}
	l.mu.Lock()
	capacity := max(l.offsetCapacity(), 4*c.live()) // however much is taken out of order
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
		fresh.Settle()
	}
	if err = errors.Join(err, old.Close()); err != nil {
		return l.unreplaced(err)
	}
	l.stats.rewrites.Add(1)
	l.named(fresh, path)
	return nil
}

// named notes the new name of an offset file. The next sync makes it durable: until then the old file
// has what was synced.
func (l *Log) named(o *offset.File, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o.Path, l.dirty.dir = path, true
	l.touchLocked()
}

func (l *Log) unreplaced(err error) error {
	if errors.Is(err, errUnnamed) {
		return err
	}
	return l.fail(err)
}

// live is how large a file the consumer's state needs, in bytes.
func (c *Consumer) live() int { return c.st.Size() }

// moveTo fills a blank file with the live state and lets takers write to it from here on.
func (c *Consumer) moveTo(fresh *offset.File) (old *offset.File, err error) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, l.failed
	}
	fresh.Succeed(c.off)
	c.st.Durable = l.durable
	if err := fresh.Fill(&c.st, true); err != nil {
		return nil, err
	}
	if c.unsaved { // bodies that it kept may go
		l.uploads.sweep = l.uploads.count > 0
	}
	old, c.off, c.unsaved = c.off, fresh, false
	c.rewriteAt = max(l.rewriteBound(), 2*c.live())
	return old, nil
}

// errUnnamed: a full disk has no room to change a name. Nothing is lost by it.
var errUnnamed = errors.New("file keeps its temporary name")

// replace makes the new file durable before it takes the old one's name.
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
