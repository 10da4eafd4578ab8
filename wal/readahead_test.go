package wal_test

import (
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal"
)

// readsAhead notes which files are read ahead.
type readsAhead struct {
	disk.FS
	mu    sync.Mutex
	names map[string]bool
}

type fileAhead struct {
	disk.File
	fs   *readsAhead
	name string
}

func (r *readsAhead) OpenRead(name string) (disk.File, error) {
	f, err := r.FS.OpenRead(name)
	return fileAhead{f, r, name}, err
}

func (r *readsAhead) Create(name string) (disk.File, error) {
	f, err := r.FS.Create(name)
	return fileAhead{f, r, name}, err
}

// Of a segment the name may be the one that it had as a spare.
func (f fileAhead) ReadAhead(n int64) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.names[filepath.Base(f.name)] = n > 0
}

func TestTheSegmentThatAReaderComesToNextIsReadAhead(t *testing.T) {
	m := newMemory(t)
	o := options(&readsAhead{FS: m.FS, names: make(map[string]bool)})
	o.Cold = &wal.Cold{} // they stay as they are
	l := open(t, "/data/q", o)
	c := consumer(t, l)
	fill(t, l, 0, 5000)
	settle(l)
	segments := m.files(".seg")
	if len(segments) < 4 {
		t.Fatalf("got %v, want at least 4 segments", segments)
	}
	for p, _ := next(t, l, c); p.Seq < 1200; p, _ = next(t, l, c) { // into the second segment
	}
	settle(l)
	r := o.FS.(*readsAhead)
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := map[string]bool{segments[2]: true}; !maps.Equal(r.names, want) {
		t.Errorf("got %v read ahead of %v, want %v", r.names, segments, want)
	}
}
