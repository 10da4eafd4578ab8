package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

func fallocate(f *os.File, off, n int64) error {
	return uninterrupted(func() error { return unix.Fallocate(int(f.Fd()), 0, off, n) })
}

// Sync needs no more than fdatasync: it writes the size where it grew, and
// the pages that maps made dirty.
func (f *file) Sync() error {
	return f.wrap("sync", uninterrupted(func() error { return unix.Fdatasync(int(f.Fd())) }))
}

// maps has nothing to remember: fdatasync finds the dirty pages of all maps.
type maps struct{}

func (maps) add([]byte)    {}
func (maps) remove([]byte) {}
