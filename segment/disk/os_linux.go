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

// advise readies a writable map. The kernel is not to read ahead from what is touched: it would fill
// the cache with blocks of several pages, and a store into one page then writes all of its block.
// What the file holds is read at once instead, for whoever opens a file to write to it looks at all
// of it first.
func advise(f *os.File, b []byte) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED) // either is for speed alone
	_ = unix.Madvise(b, unix.MADV_RANDOM)
}
