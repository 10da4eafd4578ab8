package torture

// A disk in memory with a volatile cache, as a file system sees one: writes count only once they
// were flushed. It can be cut off from power at any write, and refuse any request.

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

// device is one disk. Its pages are never changed, only replaced, so that an image costs little.
type device struct {
	size  int64
	whole func(off int64) int64 // so many bytes it writes there whole or not at all: one sector or more, a page at most

	mu     sync.Mutex
	pages  map[int64]*page   // by number; what is missing is zero
	before map[int64]*sector // sectors written since the last flush, as they were then
	refuse func(op string, off, n int64) error
	cutIn  int // writes until atCut is called, with mu held
	atCut  func()
}

func newDevice(size int64) *device {
	return &device{size: size, whole: bySector, pages: map[int64]*page{}, before: map[int64]*sector{}}
}

func (d *device) asked(op string, off, n int64) error {
	if d.refuse == nil {
		return nil
	}
	return d.refuse(op, off, n)
}

// refusing has requests ("read", "write", "flush") asked for their result.
func (d *device) refusing(refuse func(op string, off, n int64) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = refuse
}

func (d *device) read(b []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.asked("read", off, int64(len(b))); err != nil {
		return err
	}
	d.copyOut(b, off)
	return nil
}

func (d *device) copyOut(b []byte, off int64) {
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
	if err := d.asked("write", off, int64(len(b))); err != nil {
		return err
	}
	for s := off / sectorSize; s*sectorSize < off+int64(len(b)); s++ {
		if d.before[s] == nil {
			was := new(sector)
			d.copyOut(was[:], s*sectorSize)
			d.before[s] = was
		}
	}
	d.copyIn(b, off)
	return nil
}

func (d *device) copyIn(b []byte, off int64) {
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
	if err := d.asked("flush", 0, 0); err != nil {
		return err
	}
	clear(d.before)
	return nil
}

// cut calls fn just before the n-th write from now on, in the middle of everything.
func (d *device) cut(n int, fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutIn, d.atCut = n, fn
}

func bySector(int64) int64 { return sectorSize }

// afterPowerCut is what the disk has when power comes back: of what was written since the last flush, a random
// subset. Call it from cut, or when nobody uses the disk.
func (d *device) afterPowerCut(rng *rand.Rand) *device {
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
			image.copyIn(was[:], s*sectorSize)
		}
	}
	return image
}
