package wal

import (
	"errors"
	"slices"
	"strings"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/identity"
	"github.com/darner/darner/wal/internal/offset"
)

// loadConsumers makes a consumer for each offset file.
func (l *Log) loadConsumers(d *files.Listing) error {
	var names, rewritten []string
	for _, f := range d.Of[files.Offset] {
		names = append(names, f.Consumer())
	}
	for _, f := range d.Of[files.Rewrite] {
		rewritten = append(rewritten, f.Consumer())
	}
	names = append(names, rewritten...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		c := &Consumer{l: l, name: name, st: offset.New(0, 0, 0), rewriteAt: l.rewriteBound()}
		if err := c.load(slices.Contains(rewritten, name)); err != nil {
			if c.off != nil {
				c.off.Close()
			}
			return err
		}
		if c.st.Head == 0 {
			continue // its file was never written
		}
		c.seq, c.seen = c.st.Head, c.st.Head
		l.consumers[name] = c
		if name == "" {
			l.created = c.st.Created
		}
	}
	return nil
}

// load reads the consumer's state. If no file says where its head was, it begins at the oldest
// item: the consumer existed, so what it has not taken must not be deleted. The head stays 0 if the
// consumer never existed.
func (c *Consumer) load(rewriting bool) error {
	err := c.loadFile(rewriting)
	aside := errors.Is(err, errSetAside)
	if err != nil && !aside {
		return err
	}
	if c.st.Head == 0 && (c.off != nil || aside) {
		c.begin(Oldest)
		c.st.Absorb()
	}
	if c.off == nil && aside { // so that the next start knows of it
		if err := c.ensureFile(); err != nil && !disk.IsFull(err) {
			return err
		}
	}
	return nil
}

// loadFile reads the consumer's file. A crash during a rewrite may have left two files: what either
// says is taken is taken. The error is errSetAside if there was a file and none of it is
// believable.
func (c *Consumer) loadFile(rewriting bool) error {
	l := c.l
	path := l.path(files.OffsetName(c.name))
	old, oldState, err := l.openOrSetAside(path)
	aside := errors.Is(err, errSetAside)
	if err != nil && !aside {
		return err
	}
	c.off, c.st = old, oldState
	if old != nil {
		c.mendOffsets()
	}
	if !rewriting {
		return err
	}
	fresh, freshState, freshErr := l.openOrSetAside(path + files.RewriteSuffix)
	if freshErr != nil || fresh == nil {
		return errors.Join(freshErr, err)
	}
	l.tellFlipped(fresh)
	fresh.Mend(&freshState)
	if old == nil {
		c.off, c.st = fresh, freshState
		if err := l.replace(path, fresh); err != nil {
			return err
		}
		fresh.Path = path
		return nil
	}
	fresh.Unite(&freshState, &oldState)
	err = l.replace(path, fresh)
	if errors.Is(err, errUnnamed) { // the old file stays in use, the new one is for the next start
		old.Unite(&c.st, &freshState)
		return fresh.Close()
	}
	if err == nil {
		fresh.Path = path
	}
	c.off, c.st = fresh, freshState
	return errors.Join(err, old.Close())
}

// errSetAside: an offset file was moved away, because none of it is believable.
var errSetAside = errors.New("offset file was set aside")

// openOrSetAside opens an offset file; nil if there is none. It removes a blank file, whose first
// state never reached the disk. It sets another unbelievable file aside and returns errSetAside.
func (l *Log) openOrSetAside(path string) (*offset.File, offset.State, error) {
	o, st, err := offset.Open(l.fs, path, l.offsetCapacity())
	switch {
	case err == nil && identity.Foreign(o.Log, l.id):
		why := "offset file of another log set aside"
		if err = errors.Join(o.Close(), l.setOffsetsAside(path, why)); err == nil {
			err = errSetAside
		}
		return nil, offset.New(0, 0, 0), err
	case err == nil:
		o.Log = l.id
		return o, st, nil
	case isNotExist(err):
		return nil, offset.New(0, 0, 0), nil
	case !errors.Is(err, offset.ErrNoSlot):
		return nil, st, err
	}
	empty, err := blank.File(l.fs, path)
	if strings.HasSuffix(path, files.RewriteSuffix) {
		empty = true // it was not finished, and the file that it should replace has everything
	}
	if err == nil && empty {
		err = l.fs.Remove(path)
	} else if err == nil {
		why := "damaged offset file set aside; taken items that are still on disk come again"
		if err = l.setOffsetsAside(path, why); err == nil {
			err = errSetAside
		}
	}
	return nil, offset.New(0, 0, 0), err
}

func (l *Log) setOffsetsAside(path, why string) error {
	to, err := l.moveAside(path)
	if err != nil {
		return err
	}
	l.noteLost(1)
	l.log.Error(why, "file", path, "now", to)
	return nil
}

// recoverBodies gives the bodies of committed items their final names. It removes uploads that
// broke off, and sets aside bodies whose record is lost.
func (l *Log) recoverBodies(d *files.Listing) error {
	committed := map[uint64]uint64{} // upload → item
	if len(d.Of[files.Part]) > 0 {
		committed = l.committedUploads()
	}
	for _, e := range d.Of[files.Part] {
		path := l.path(e.Name)
		l.dirty.dir = true
		seq, ok := committed[e.Number]
		if !ok {
			if err := l.fs.Remove(path); err != nil {
				return err
			}
			continue
		}
		if err := l.fs.Rename(path, l.path(files.BodyName(seq))); disk.IsFull(err) {
			l.files[l.indexLocked(seq)].renames++ // readers find it under its upload's name
			l.uploads.count++
			l.uploads.bytes += e.Size
			continue
		} else if err != nil {
			return err
		}
		named := files.Info{Kind: files.Body, Number: seq, Size: e.Size}
		d.Of[files.Body] = append(d.Of[files.Body], named)
	}
	for _, e := range d.Of[files.Body] {
		if l.orphaned(e.Number) {
			if err := l.setBodyAside(e.Number); err != nil {
				return err
			}
			continue
		}
		l.uploads.count++
		l.uploads.bytes += e.Size
	}
	l.uploads.sweep = l.uploads.count > 0 // some may have been taken just before a crash
	return nil
}

// setBodyAside moves away a body whose record is lost: it was not synced before a power cut, or
// damaged since. Its number is not used again.
func (l *Log) setBodyAside(seq uint64) error {
	path := l.path(files.BodyName(seq))
	whose := uint64(0)
	if r, err := body.Open(l.fs, path); err == nil {
		whose = r.Log
		r.Close()
	}
	to, err := l.moveAside(path)
	if err != nil {
		return err
	}
	if identity.Foreign(whose, l.id) {
		l.noteLost(1)
		l.log.Error("body of another log's large item set aside",
			"file", path, "now", to)
		return nil
	}
	l.next = max(l.next, seq+1)
	l.log.Error("body of a large item without its record set aside",
		"file", path, "now", to)
	return nil
}

// committedUploads maps uploads to the items they became, from the segments that are not sealed: a
// segment is not sealed before its bodies have their final names.
func (l *Log) committedUploads() map[uint64]uint64 {
	found := make(map[uint64]uint64)
	for _, f := range l.files {
		if f.seg == nil || f.seg.Sealed() {
			continue
		}
		eachRecord(f.seg, func(r segment.Record) {
			if _, upload, ok := body.Record(&r); ok {
				found[upload] = r.Seq
			}
		})
	}
	return found
}
