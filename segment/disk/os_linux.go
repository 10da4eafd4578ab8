package disk

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

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

func (f *file) ReadAhead(n int64) {
	_ = unix.Fadvise(int(f.Fd()), 0, n, unix.FADV_WILLNEED)
}

// Populate has the kernel find the pages and map them writable, without a fault for each, and then touches
// them: on a virtual machine whose page tables are shadowed the first touch costs more than the fault,
// and it may be done by anybody.
func (f *file) Populate(b []byte) {
	b = wholePages(b)
	if len(b) == 0 || unix.Madvise(b, unix.MADV_POPULATE_WRITE) != nil { // before Linux 5.14, or cut short
		return
	}
	for at := 0; at < len(b); at += os.Getpagesize() {
		atomic.OrUint32((*uint32)(unsafe.Pointer(&b[at])), 0) // a store, whoever else stores there
	}
}

// WriteOut takes the pages out of the page table first, which of a shared map MADV_DONTNEED does and nothing
// else: else the kernel would do so one by one, and interrupt all processors for each. And while it writes
// it has many pages locked: a Sync that began with these would lock those together with them that stores
// go to.
func (f *file) WriteOut(b []byte, off int64) error {
	pages := wholePages(b)
	if len(pages) == 0 {
		return nil
	}
	_ = unix.Madvise(pages, unix.MADV_DONTNEED)
	off += int64(uintptr(unsafe.Pointer(&pages[0])) - uintptr(unsafe.Pointer(&b[0])))
	err := uninterrupted(func() error {
		return unix.SyncFileRange(int(f.Fd()), off, int64(len(pages)), unix.SYNC_FILE_RANGE_WRITE)
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return f.wrap("write out", err)
}

// wholePages is the pages that lie in b.
func wholePages(b []byte) []byte {
	page := uintptr(os.Getpagesize())
	if uintptr(len(b)) < page {
		return nil
	}
	skip := -uintptr(unsafe.Pointer(&b[0])) & (page - 1)
	return b[skip : skip+(uintptr(len(b))-skip)&^(page-1)]
}
