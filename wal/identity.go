package wal

// Files of another log among this log's: told by their identity, and set aside.

import (
	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/identity"
)

// identify finds out the log's identity from its files, or makes one for a log that has none.
func (l *Log) identify(d *files.Listing) error {
	id, sure, err := identity.Of(l.fs, l.dir, d)
	if id == 0 && sure {
		id = identity.New()
	}
	l.id = id
	return err
}

// openOwn opens a segment, unless it belongs to another log: that is segment.ErrForeign.
func (l *Log) openOwn(path string, o segment.OpenOptions) (*segment.Segment, []segment.Damage, error) {
	o.Log = l.id
	return segment.Open(l.fs, path, o)
}

// dropForeignLocked takes a segment out of the log that turns out to be another log's. The background sets it
// aside. Log.mu is held.
func (l *Log) dropForeignLocked(f *file) {
	for i := range l.files {
		if l.files[i] == f {
			l.files = append(append([]*file(nil), l.files[:i]...), l.files[i+1:]...)
			f.lost, f.gone = true, true
			l.aside.foreign = append(l.aside.foreign, f)
			l.stats.damaged.Add(1)
			l.requestCleanup()
			return
		}
	}
}

// setForeignAside moves banished files out of the log's directory.
func (l *Log) setForeignAside() {
	l.mu.Lock()
	foreign := l.aside.foreign
	l.aside.foreign = nil
	l.mu.Unlock()
	for _, f := range foreign {
		if err := l.discardFile(f); err != nil && !isNotExist(err) {
			l.log.Error("a segment of another log cannot be set aside", "queue", l.name(), "file", f.path, "error", err)
		}
	}
}
