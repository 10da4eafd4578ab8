package torture

// A disk in memory with a volatile cache: a write is safe only after a flush. The disk can lose
// power at any write, and can refuse any request.

import (
	"maps"
	"math/rand/v2"
	"sync"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

type (
	page   [pageSize]byte
	sector [sectorSize]byte
)

// device is a disk. Its pages are replaced and never changed, so that a copy of it costs little.
type device struct {
	size int64
	// whole returns how many bytes the disk writes atomically at an offset: a sector, up to a page.
	whole func(off int64) int64

	mu     sync.Mutex
	pages  map[int64]*page   // by number; a missing page is zero
	before map[int64]*sector // earlier content of the sectors written since the last flush
	refuse func(op string, off, n int64) error
	cutIn  int // number of writes until atCut is called, with mu held
	atCut  func()
}

func newDevice(size int64) *device {
	return &device{size: size, whole: bySector, pages: map[int64]*page{},
		before: map[int64]*sector{}}
}

// refusedLocked returns the error for a request, if it is to be refused.
func (d *device) refusedLocked(op string, off, n int64) error {
	if d.refuse == nil {
		return nil
	}
	return d.refuse(op, off, n)
}

// refusing sets a function that returns the error of each "read", "write" and "flush", or nil.
func (d *device) refusing(refuse func(op string, off, n int64) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = refuse
}

func (d *device) read(b []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refusedLocked("read", off, int64(len(b))); err != nil {
		return err
	}
	d.readLocked(b, off)
	return nil
}

func (d *device) readLocked(b []byte, off int64) {
	for len(b) > 0 {
		n := min(len(b), pageSize-int(off%pageSize))
		if p := d.pages[off/pageSize]; p != nil {
			copy(b[:n], p[off%pageSize:])
		} else {
			clear(b[:n])
		}
		b, off = b[n:], off+int64(n)
	}
}

func (d *device) write(b []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cutIn--; d.cutIn == 0 {
		d.atCut()
	}
	if err := d.refusedLocked("write", off, int64(len(b))); err != nil {
		return err
	}
	for s := off / sectorSize; s*sectorSize < off+int64(len(b)); s++ {
		if d.before[s] == nil {
			was := new(sector)
			d.readLocked(was[:], s*sectorSize)
			d.before[s] = was
		}
	}
	d.writeLocked(b, off)
	return nil
}

func (d *device) writeLocked(b []byte, off int64) {
	for len(b) > 0 {
		n := min(len(b), pageSize-int(off%pageSize))
		p := new(page)
		if old := d.pages[off/pageSize]; old != nil {
			*p = *old
		}
		copy(p[off%pageSize:], b[:n])
		if *p == (page{}) {
			delete(d.pages, off/pageSize)
		} else {
			d.pages[off/pageSize] = p
		}
		b, off = b[n:], off+int64(n)
	}
}

func (d *device) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refusedLocked("flush", 0, 0); err != nil {
		return err
	}
	clear(d.before)
	return nil
}

// cut calls fn just before the n-th write from now on, with mu held.
func (d *device) cut(n int, fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutIn, d.atCut = n, fn
}

func bySector(int64) int64 { return sectorSize }

// afterPowerCutLocked returns the disk after a power cut. It has a random subset of what was
// written since the last flush. mu is held, as in the function given to cut, or nobody uses the
// disk.
func (d *device) afterPowerCutLocked(rng *rand.Rand) *device {
	image := newDevice(d.size)
	image.whole, image.pages = d.whole, maps.Clone(d.pages)
	quarters := rng.IntN(5) // from nothing to everything
	lost := map[int64]bool{}
	for s, was := range d.before {
		size := d.whole(s * sectorSize)
		unit := s * sectorSize / size * size
		if _, decided := lost[unit]; !decided {
			lost[unit] = rng.IntN(4) >= quarters
		}
		if lost[unit] {
			image.writeLocked(was[:], s*sectorSize)
		}
	}
	return image
}
