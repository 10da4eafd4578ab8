//go:build !linux

package disk

// Elsewhere fsync may not see what was stored into maps, so they are remembered and synced first.
// On darwin, os.File.Sync is F_FULLFSYNC.

import (
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// fallocate has no portable form. Allocate writes zeros instead.
func fallocate(*os.File, int64, int64) error { return errors.ErrUnsupported }

// syncFile syncs the maps, then the file.
func (f *file) syncFile(out *os.File) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if err := f.maps.sync(size); err != nil {
		return f.wrap("sync map", err)
	}
	return out.Sync()
}

// maps are the file's writable maps.
type maps struct {
	mu   sync.Mutex // held during msync, so that no map goes away meanwhile
	live [][]byte
}

func (m *maps) add(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = append(m.live, b)
}

// remove forgets b before it is unmapped, and starts writing what was stored into it. This may fail
// after the end of the file, which does not matter.
func (m *maps) remove(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	same := func(l []byte) bool { return len(b) > 0 && &l[0] == &b[0] }
	if i := slices.IndexFunc(m.live, same); i >= 0 {
		m.live = slices.Delete(m.live, i, i+1)
		_ = unix.Msync(b, unix.MS_ASYNC)
	}
}

// sync writes every map up to size. After that there is nothing to write to.
func (m *maps) sync(size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.live {
		if n := min(size, int64(len(b))); n > 0 {
			if err := unix.Msync(b[:n], unix.MS_SYNC); err != nil {
				return err
			}
		}
	}
	return nil
}

// advise does nothing: reading ahead has no such cost here.
func advise(*os.File, []byte) {}

// ReadAhead, Populate and WriteOut have no portable form.
func (f *file) ReadAhead(int64)              {}
func (f *file) Populate([]byte)              {}
func (f *file) WriteOut([]byte, int64) error { return nil }
