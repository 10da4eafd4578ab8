package disk

import (
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

func fallocate(f *os.File, off, n int64) error {
	return uninterrupted(func() error { return unix.Fallocate(int(f.Fd()), 0, off, n) })
}

// Sync needs no more than fdatasync: it writes the size where it grew, and
// the pages that maps made dirty. But of each such page it would take the right
// to write away by itself, and have all processors told: the pages are let go
// first, all at once, and come back when they are touched.
func (f *file) Sync() error {
	f.maps.letGo()
	return f.wrap("sync", uninterrupted(func() error { return unix.Fdatasync(int(f.Fd())) }))
}

// maps is the file's writable maps.
type maps struct {
	mu   sync.Mutex // held over madvise, so that no map goes away under it
	live [][]byte
}

func (m *maps) add(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = append(m.live, b)
}

func (m *maps) remove(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = slices.DeleteFunc(m.live, func(l []byte) bool { return len(b) > 0 && &l[0] == &b[0] })
}

// letGo lets go of all pages. What was stored into them is the file's, wherever it is mapped.
func (m *maps) letGo() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.live {
		_ = unix.Madvise(b, unix.MADV_DONTNEED) // for speed alone
	}
}

// advise readies a writable map. The kernel is not to read ahead from what is touched: it would fill
// the cache with blocks of several pages, and a store into one page then writes all of its block.
// What the file holds is read at once instead, for whoever opens a file to write to it looks at all
// of it first.
func advise(f *os.File, b []byte) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED) // either is for speed alone
	_ = unix.Madvise(b, unix.MADV_RANDOM)
}
