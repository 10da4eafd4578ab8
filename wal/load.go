package wal

import (
	"errors"
	"slices"
	"strings"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// loadConsumers makes a consumer for every offset file.
func (l *Log) loadConsumers(d listing) error {
	names := append(slices.Clone(d.offsets), d.rewrites...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		c := &Consumer{l: l, name: name, st: offsetState{taken: newSpans()}, rewriteAt: l.rewriteBound()}
		if err := c.load(slices.Contains(d.rewrites, name)); err != nil {
			if c.off != nil {
				c.off.close()
			}
			return err
		}
		if c.st.head == 0 {
			continue // it never was
		}
		c.seq, c.seen = c.st.head, c.st.head
		l.consumers[name] = c
		if name == "" {
			l.created = c.st.created
		}
	}
	return nil
}

// load reads the consumer's state. Where no file says what its head was, it begins at the oldest item: it is
// known to exist, and what it has not taken must not be deleted. Its head is 0 if it never was.
func (c *Consumer) load(rewriting bool) error {
	err := c.loadFile(rewriting)
	aside := errors.Is(err, errSetAside)
	if err != nil && !aside {
		return err
	}
	if c.st.head == 0 && (c.off != nil || aside) {
		c.begin(Oldest)
		c.st.absorb()
	}
	if c.off == nil && aside { // lest the next start does not know of it
		if err := c.ensureFile(); err != nil && !disk.IsFull(err) {
			return err
		}
	}
	return nil
}

// loadFile reads the consumer's file. A rewrite that a crash interrupted may have left two; what either
// says was taken is taken. It is errSetAside when there is a file and nothing of it can be believed.
func (c *Consumer) loadFile(rewriting bool) error {
	l := c.l
	path := l.path(offsetName(c.name))
	old, oldState, err := l.openOrSetAside(path)
	aside := errors.Is(err, errSetAside)
	if err != nil && !aside {
		return err
	}
	c.off, c.st = old, oldState
	if old != nil {
		c.tellLost()
	}
	if !rewriting {
		return err
	}
	fresh, freshState, freshErr := l.openOrSetAside(path + rewriteSuffix)
	if freshErr != nil || fresh == nil {
		return errors.Join(freshErr, err)
	}
	fresh.mend(&freshState)
	if old == nil {
		c.off, c.st = fresh, freshState
		if err := l.replace(path, fresh); err != nil {
			return err
		}
		fresh.path = path
		return nil
	}
	unite(fresh, &freshState, &oldState)
	err = l.replace(path, fresh)
	if errors.Is(err, errUnnamed) { // the old file serves on, the new one stays for the next time
		unite(old, &c.st, &freshState)
		return fresh.close()
	}
	if err == nil {
		fresh.path = path
	}
	c.off, c.st = fresh, freshState
	return errors.Join(err, old.close())
}

// unite adds to the newer file what only the older one says.
func unite(fresh *offsets, to, from *offsetState) {
	if from.head > to.head {
		to.head, to.below = from.head, from.below
	}
	from.taken.each(func(x span) bool {
		if to.taken.add(x) {
			for !fresh.append(entryRange, x) && fresh.grow() == nil {
			}
		}
		return true
	})
	to.durable = max(to.durable, from.durable)
	to.absorb()
	fresh.setHead(to.head, to.below)
}

// errSetAside: an offset file is there no more, as nothing of it could be believed.
var errSetAside = errors.New("offset file was set aside")

// openOrSetAside opens an offset file; nil when there is none. A blank one is a file whose first state
// never reached the disk; another that cannot be believed is set aside, which is errSetAside.
func (l *Log) openOrSetAside(path string) (*offsets, offsetState, error) {
	o, st, err := openOffsets(l.fs, path, l.offsetCapacity())
	switch {
	case err == nil && foreign(o.log, l.id):
		if err = errors.Join(o.close(), l.setOffsetsAside(path, "offset file belongs to another log and was set aside")); err == nil {
			err = errSetAside
		}
		return nil, offsetState{taken: newSpans()}, err
	case err == nil:
		o.log = l.id
		return o, st, nil
	case isNotExist(err):
		return nil, offsetState{taken: newSpans()}, nil
	case !errors.Is(err, errNoSlot):
		return nil, st, err
	}
	blank, err := allZero(l.fs, path)
	if strings.HasSuffix(path, rewriteSuffix) {
		blank = true // its state is not written whole: the file it was to replace has all of it
	}
	if err == nil && blank {
		err = l.fs.Remove(path)
	} else if err == nil {
		if err = l.setOffsetsAside(path, "offset file is damaged and was set aside: taken items that are still on disk come again"); err == nil {
			err = errSetAside
		}
	}
	return nil, offsetState{taken: newSpans()}, err
}

func (l *Log) setOffsetsAside(path, why string) error {
	to, err := l.moveAside(path)
	if err != nil {
		return err
	}
	l.stats.damaged.Add(1)
	l.log.Error(why, "queue", l.name(), "file", path, "now", to)
	return nil
}

func allZero(fsys disk.FS, path string) (bool, error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return false, err
	}
	buf := make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 && err != nil {
			return false, err
		}
		for _, b := range buf[:n] {
			if b != 0 {
				return false, nil
			}
		}
		at += int64(n)
	}
	return true, nil
}

// recoverBodies gives bodies of committed items the names they were about to get, removes uploads
// that broke off, and bodies whose record did not survive.
func (l *Log) recoverBodies(d listing) error {
	committed := map[uint64]uint64{} // upload → item
	if len(d.parts) > 0 {
		committed = l.committedUploads()
	}
	for _, e := range d.parts {
		path := l.path(numbered(e.n, partSuffix))
		l.dirDirty = true
		seq, ok := committed[e.n]
		if !ok {
			if err := l.fs.Remove(path); err != nil {
				return err
			}
			continue
		}
		if err := l.fs.Rename(path, l.path(numbered(seq, itemSuffix))); disk.IsFull(err) {
			l.files[l.index(seq)].renames++ // it is found under its upload's name
			l.uploads.count++
			l.uploads.bytes += e.size
			continue
		} else if err != nil {
			return err
		}
		d.items = append(d.items, entry{n: seq, size: e.size})
	}
	for _, e := range d.items {
		if l.orphaned(e.n) {
			if err := l.setBodyAside(e.n); err != nil {
				return err
			}
			continue
		}
		l.uploads.count++
		l.uploads.bytes += e.size
	}
	l.uploads.sweep = l.uploads.count > 0 // some may have been taken just before the crash
	return nil
}

// setBodyAside moves away a body whose record is lost: not synced before a power cut, or damaged since.
// Its number is not used again.
func (l *Log) setBodyAside(seq uint64) error {
	path := l.path(numbered(seq, itemSuffix))
	whose := uint64(0)
	if r, err := openBody(l.fs, path); err == nil {
		whose = r.log
		r.Close()
	}
	to, err := l.moveAside(path)
	if err != nil {
		return err
	}
	if foreign(whose, l.id) {
		l.stats.damaged.Add(1)
		l.log.Error("body of a large item belongs to another log and was set aside", "queue", l.name(), "file", path, "now", to)
		return nil
	}
	l.next = max(l.next, seq+1)
	l.log.Error("body of a large item has lost its record and was set aside", "queue", l.name(), "file", path, "now", to)
	return nil
}

// committedUploads maps uploads to the items they became, as far as the segments tell that were
// not sealed: a segment is not sealed before the bodies of its items have their final names.
func (l *Log) committedUploads() map[uint64]uint64 {
	found := make(map[uint64]uint64)
	for _, f := range l.files {
		if f.seg == nil || f.seg.Sealed() {
			continue
		}
		eachRecord(f.seg, func(r segment.Record) {
			if r.Kind == segment.KindLarge {
				found[largeUpload(r.Payload)] = r.Seq
			}
		})
	}
	return found
}
