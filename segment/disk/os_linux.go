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

// syncFile needs no more than fdatasync, which writes dirty pages of maps, and the size if it grew.
func (*file) syncFile(out *os.File) error {
	return uninterrupted(func() error { return unix.Fdatasync(int(out.Fd())) })
}

// maps remembers nothing: fdatasync finds the dirty pages of all maps.
type maps struct{}

func (maps) add([]byte)    {}
func (maps) remove([]byte) {}

// advise prepares a writable map. The kernel must not read ahead around pages that are touched:
// that would fill the cache with blocks of several pages, and a store into one page would then
// write all of its block. Instead, the content is read at once, because whoever opens a file for
// writing reads all of it first.
func advise(f *os.File, b []byte) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED) // both only improve speed
	_ = unix.Madvise(b, unix.MADV_RANDOM)
}

func (f *file) ReadAhead(n int64) {
	if in, err := f.hold(); err == nil {
		_ = unix.Fadvise(int(in.Fd()), 0, n, unix.FADV_WILLNEED)
		f.release()
	}
}

// Populate makes the kernel find the pages and map them writable without a fault for each, and then
// touches them. On a virtual machine with shadowed page tables, the first touch costs more than the
// fault, and here it costs nobody who appends.
func (f *file) Populate(b []byte) {
	b = wholePages(b)
	// Before Linux 5.14 there is no such call. It also fails if the file was cut short.
	if len(b) == 0 || unix.Madvise(b, unix.MADV_POPULATE_WRITE) != nil {
		return
	}
	for at := 0; at < len(b); at += os.Getpagesize() {
		// A store that changes nothing, even if somebody else stores there.
		atomic.OrUint32((*uint32)(unsafe.Pointer(&b[at])), 0)
	}
}

// WriteOut first takes the pages out of the page table; on a shared map, MADV_DONTNEED does no more
// than that. Otherwise the kernel would do it page by page and interrupt all processors for each.
// Besides, the kernel locks many pages while it writes: a Sync that began with these pages would
// lock them together with those that stores go to.
func (f *file) WriteOut(b []byte, off int64) error {
	pages := wholePages(b)
	if len(pages) == 0 {
		return nil
	}
	out, err := f.hold()
	if err != nil {
		return err
	}
	defer f.release()
	_ = unix.Madvise(pages, unix.MADV_DONTNEED)
	off += int64(uintptr(unsafe.Pointer(&pages[0])) - uintptr(unsafe.Pointer(&b[0])))
	err = uninterrupted(func() error {
		return unix.SyncFileRange(int(out.Fd()), off, int64(len(pages)), unix.SYNC_FILE_RANGE_WRITE)
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return f.wrap("write out", err)
}

// wholePages returns the part of b that consists of whole pages.
func wholePages(b []byte) []byte {
	page := uintptr(os.Getpagesize())
	if uintptr(len(b)) < page {
		return nil
	}
	skip := -uintptr(unsafe.Pointer(&b[0])) & (page - 1)
	return b[skip : skip+(uintptr(len(b))-skip)&^(page-1)]
}
