package disktest

// What a name refers to: a file's memory, its blocks, and its copy on the disk.

import (
	"bytes"
	"fmt"
	"slices"
)

const (
	sectorSize = 512  // a disk writes all of a sector or nothing
	blockSize  = 4096 // a file system allocates blocks of this size
)

// node is a file or a directory. FS.mu guards it, except for the memory that maps share.
type node struct {
	live, durable map[string]*node // a directory's names; nil for a file

	// buf is the memory that maps share. It has at least size bytes, with zeros after the size. It
	// does not move while there are maps.
	buf    []byte
	size   int64
	blocks []bool // which blocks are allocated, up to the size

	synced       []byte // the content on the disk; its length is the size there
	syncedBlocks []bool
	syncFailed   bool // the kernel believes that the pages are written, so they never will be

	links, handles int
	maps           []int // lengths
	released       bool  // there is no name, handle or map any more, and its blocks are free
	locked         bool
}

func newDir() *node { return &node{live: map[string]*node{}, durable: map[string]*node{}} }

func (n *node) dir() bool { return n.live != nil }

// contains reports whether d is n or below it.
func (n *node) contains(d *node) bool {
	if n == d {
		return true
	}
	for _, child := range n.live {
		if child.contains(d) {
			return true
		}
	}
	return false
}

// release frees the blocks of a file that nobody can reach any more. Its content stays, because a
// crash may undo the removal.
func (f *FS) release(n *node) {
	if n.links > 0 || n.handles > 0 || len(n.maps) > 0 || n.released {
		return
	}
	n.released = true
	f.used -= n.allocated()
}

func (n *node) allocated() (blocks int64) {
	for _, b := range n.blocks {
		if b {
			blocks++
		}
	}
	return blocks
}

func blocksFor(size int64) int { return int((size + blockSize - 1) / blockSize) }

// missing returns how many blocks the bytes off..end lack.
func (n *node) missing(off, end int64) (blocks int64) {
	for i := int(off / blockSize); i < blocksFor(end); i++ {
		if i >= len(n.blocks) || !n.blocks[i] {
			blocks++
		}
	}
	return blocks
}

// hasRoom reports whether there are enough free blocks for what off..end lacks.
func (f *FS) hasRoom(n *node, off, end int64) bool {
	missing := n.missing(off, end)
	return missing == 0 || !f.full(missing)
}

// allocate gives the bytes off..end blocks and grows the file to end.
func (f *FS) allocate(n *node, off, end int64) {
	f.used += n.missing(off, end)
	if end > n.size {
		n.resize(end)
	}
	for i := int(off / blockSize); i < blocksFor(end); i++ {
		n.blocks[i] = true
	}
}

// truncate sets the size and frees the blocks after it.
func (f *FS) truncate(n *node, size int64) {
	before := n.allocated()
	if size < n.size {
		clear(n.buf[size:n.size])
	}
	n.resize(size)
	f.used += n.allocated() - before
}

// resize sets the size. Bytes that it adds have no blocks.
func (n *node) resize(size int64) {
	n.reserve(int(size))
	n.size = size
	if blocks := blocksFor(size); blocks <= len(n.blocks) {
		n.blocks = n.blocks[:blocks]
	} else {
		n.blocks = append(n.blocks, make([]bool, blocks-len(n.blocks))...)
	}
}

// reserve makes the memory at least size bytes long.
func (n *node) reserve(size int) {
	if size <= len(n.buf) {
		return
	}
	if len(n.maps) > 0 {
		panic(fmt.Sprintf("disktest: a file mapped at %d bytes cannot reach %d: unmap it or map it larger at first",
			len(n.buf), size))
	}
	n.buf = append(n.buf, make([]byte, size-len(n.buf))...)
}

// mmap returns a slice of the file's memory.
func (n *node) mmap(size int) []byte {
	if len(n.maps) == 0 && size > len(n.buf) {
		n.buf = append(make([]byte, 0, size), n.buf...) // the caller sees the capacity
	}
	n.reserve(size)
	n.maps = append(n.maps, size)
	return n.buf[:size:size]
}

// munmap ends a map and reports whether b was one.
func (n *node) munmap(b []byte) bool {
	i := slices.Index(n.maps, len(b))
	if i < 0 || &b[0] != &n.buf[0] {
		return false
	}
	n.maps = slices.Delete(n.maps, i, i+1)
	if len(n.maps) == 0 {
		n.abandon()
	}
	return true
}

// abandon moves the file to other memory and spoils the old memory. Whoever still uses a map that
// is gone reads nonsense, and what they store is lost.
func (n *node) abandon() {
	old := n.buf
	n.buf = slices.Clone(old[:n.size])
	spoil(old)
}

// spoil overwrites large maps that nobody uses any more. The race detector would slow it down.
//
//go:norace
func spoil(b []byte) {
	b[0] = 0xdb
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// sync copies the content to the disk.
func (n *node) sync() {
	if n.syncFailed {
		return
	}
	n.synced = n.content()
	n.syncedBlocks = slices.Clone(n.blocks)
}

// content copies the file.
func (n *node) content() []byte {
	b := make([]byte, n.size)
	peek(b, n.buf)
	return b
}

// peek is copy, from memory that somebody may be storing into through a map. That is as legal here
// as with a real map, so the race detector must not see it. It would see copy.
//
//go:norace
func peek(dst, src []byte) int {
	n := min(len(dst), len(src))
	i := 0
	for ; i+sectorSize <= n; i += sectorSize {
		*(*[sectorSize]byte)(dst[i:]) = *(*[sectorSize]byte)(src[i:])
	}
	for ; i < n; i++ {
		dst[i] = src[i]
	}
	return n
}

// checkAll looks for bad stores in all files that have a name.
func (f *FS) checkAll() { f.checkTree("/", f.root) }

func (f *FS) checkTree(name string, n *node) {
	f.check(name, n)
	prefix := name
	if n != f.root {
		prefix += "/"
	}
	for child, c := range n.live {
		f.checkTree(prefix+child, c)
	}
}

var zeros [blockSize]byte

// check looks for bytes that only a store into a map can have left where there is no block. It
// records such a store and wipes the bytes, so that it counts once.
func (f *FS) check(name string, n *node) {
	for off := int64(0); off < int64(len(n.buf)); off += blockSize {
		end := min(off+blockSize, int64(len(n.buf)))
		from, what := off, "into a hole"
		switch i := int(off / blockSize); {
		case end > n.size:
			from, what = max(off, n.size), "after the end"
		case n.blocks[i]:
			continue
		}
		if bad := n.buf[from:end]; !bytes.Equal(bad, zeros[:len(bad)]) {
			at := from
			for n.buf[at] == 0 {
				at++
			}
			f.violations = append(f.violations,
				fmt.Sprintf("%s: store %s at byte %d; the size is %d", name, what, at, n.size))
			clear(bad)
		}
	}
}
