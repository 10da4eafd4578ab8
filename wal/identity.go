package wal

// The files of another log among this one's: each file has its log's identity. They are set aside.

import (
	"github.com/darner/darner/segment"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/identity"
)

// identify reads the log's identity from its files. A log without files gets a new one.
func (l *Log) identify(d *files.Listing) error {
	id, sure, err := identity.Of(l.fs, l.dir, d)
	if id == 0 && sure {
		id = identity.New()
	}
	l.id = id
	return err
}

// openOwn opens a segment. If it belongs to another log, the error is segment.ErrForeign.
func (l *Log) openOwn(
	path string, o segment.OpenOptions,
) (*segment.Segment, []segment.Damage, error) {
	o.Log = l.id
	return segment.Open(l.fs, path, o)
}

// dropForeignLocked removes from the log a segment that belongs to another log. The background sets
// it aside.
func (l *Log) dropForeignLocked(f *file) {
	for i := range l.files {
		if l.files[i] == f {
			l.files = append(append([]*file(nil), l.files[:i]...), l.files[i+1:]...)
			f.lost, f.gone = true, true
			l.aside.foreign = append(l.aside.foreign, f)
			l.noteLost(1)
			l.requestCleanup()
			return
		}
	}
}

// setForeignAside moves segments of other logs out of the log's directory.
func (l *Log) setForeignAside() {
	l.mu.Lock()
	foreign := l.aside.foreign
	l.aside.foreign = nil
	l.mu.Unlock()
	for _, f := range foreign {
		if err := l.discardFile(f); err != nil && !isNotExist(err) {
			l.log.Error("cannot set a segment of another log aside", "file", f.path, "error", err)
		}
	}
}
