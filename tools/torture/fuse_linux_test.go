package torture

// The kernel's access to a device. A FUSE file system has one file for each device, and a loop
// device is set up on it. The file system answers only the requests that a loop device makes.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	fuseLookup, fuseForget, fuseGetattr, fuseSetattr, fuseOpen    = 1, 2, 3, 4, 14
	fuseRead, fuseWrite, fuseStatfs, fuseRelease, fuseFsync       = 15, 16, 17, 18, 20
	fuseFlush, fuseInit, fuseOpendir, fuseReaddir, fuseReleasedir = 25, 26, 27, 28, 29
	fuseInterrupt, fuseDestroy, fuseBatchForget                   = 36, 38, 42

	fuseRoot      = 1
	fuseInHeader  = 40
	fuseOutHeader = 16
	fuseMaxWrite  = 1 << 20
)

var le = binary.LittleEndian

// shelf is a mounted directory whose files are devices.
type shelf struct {
	dir string
	fd  int

	mu      sync.Mutex
	devices []*device // the i-th is node i+2
}

// newShelf mounts a shelf for the duration of the test.
func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{dir: t.TempDir()}
	var err error
	if s.fd, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		t.Skipf("this system has no FUSE to make a disk with: %v", err)
	}
	how := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", s.fd)
	if err := unix.Mount("torture", s.dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, how); err != nil {
		unix.Close(s.fd)
		t.Skipf("a FUSE file system cannot be mounted: %v", err)
	}
	var served sync.WaitGroup
	served.Go(s.serve)
	t.Cleanup(func() {
		unix.Unmount(s.dir, unix.MNT_DETACH)
		served.Wait()
		unix.Close(s.fd)
	})
	return s
}

// add adds a device, and returns the path of its file.
func (s *shelf) add(d *device) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices = append(s.devices, d)
	return fmt.Sprintf("%s%s%d", s.dir, deviceName(os.Getppid()), len(s.devices)-1)
}

// node returns the device of a node, or nil.
func (s *shelf) node(id uint64) *device {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id < fuseRoot+1 || id-fuseRoot-1 >= uint64(len(s.devices)) {
		return nil
	}
	return s.devices[id-fuseRoot-1]
}

// serve answers requests until the file system is unmounted.
func (s *shelf) serve() {
	in := make([]byte, fuseMaxWrite+64<<10)
	out := make([]byte, fuseOutHeader+fuseMaxWrite)
	for {
		n, err := unix.Read(s.fd, in)
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOENT {
			continue
		}
		if err != nil || n < fuseInHeader {
			return // ENODEV: unmounted
		}
		op := le.Uint32(in[4:])
		if op == fuseForget || op == fuseBatchForget || op == fuseInterrupt {
			continue
		}
		size, err := s.answer(op, le.Uint64(in[16:]), in[fuseInHeader:n], out[fuseOutHeader:])
		var errno syscall.Errno
		if err != nil {
			if size = 0; !errors.As(err, &errno) {
				errno = syscall.EIO
			}
		}
		le.PutUint32(out, uint32(fuseOutHeader+size))
		le.PutUint32(out[4:], uint32(-int32(errno)))
		le.PutUint64(out[8:], le.Uint64(in[8:]))
		unix.Write(s.fd, out[:fuseOutHeader+size])
		if op == fuseDestroy {
			return
		}
	}
}

// answer writes the answer to a request to out, and returns its length.
func (s *shelf) answer(op uint32, id uint64, in, out []byte) (int, error) {
	switch op {
	case fuseInit:
		clear(out[:64])
		le.PutUint32(out, 7)
		le.PutUint32(out[4:], 31)
		le.PutUint32(out[8:], le.Uint32(in[8:])) // read-ahead
		le.PutUint32(out[12:], 1<<5|1<<22)       // big writes, max pages
		le.PutUint32(out[20:], fuseMaxWrite)
		le.PutUint32(out[24:], 1)
		le.PutUint16(out[28:], fuseMaxWrite/pageSize)
		return 64, nil
	case fuseLookup:
		var i uint64
		name := strings.TrimRight("/"+string(in), "\x00")
		_, err := fmt.Sscan(strings.TrimPrefix(name, deviceName(os.Getppid())), &i)
		if err != nil || s.node(i+fuseRoot+1) == nil {
			return 0, unix.ENOENT
		}
		clear(out[:40])
		le.PutUint64(out, i+fuseRoot+1)
		le.PutUint64(out[16:], 3600)
		le.PutUint64(out[24:], 3600)
		s.attributes(i+fuseRoot+1, out[40:])
		return 128, nil
	case fuseGetattr, fuseSetattr:
		clear(out[:16])
		le.PutUint64(out, 3600)
		s.attributes(id, out[16:])
		return 104, nil
	case fuseOpen:
		clear(out[:16])
		le.PutUint32(out[8:], 1) // direct I/O: the kernel keeps no copy
		return 16, nil
	case fuseOpendir:
		clear(out[:16])
		return 16, nil
	case fuseStatfs:
		clear(out[:80])
		return 80, nil
	case fuseReaddir, fuseRelease, fuseReleasedir, fuseFlush, fuseDestroy:
		return 0, nil
	}
	d := s.node(id)
	if d == nil {
		return 0, unix.ENOSYS
	}
	switch off := le.Uint64(in[8:]); op {
	case fuseRead:
		n := int(max(0, min(int64(le.Uint32(in[16:])), d.size-int64(off))))
		return n, d.read(out[:n], int64(off))
	case fuseWrite:
		n := int(le.Uint32(in[16:]))
		if int64(off)+int64(n) > d.size {
			return 0, unix.EFBIG
		}
		le.PutUint64(out, uint64(n))
		return 8, d.write(in[40:40+n], int64(off))
	case fuseFsync:
		return 0, d.flush()
	}
	return 0, unix.ENOSYS
}

// attributes writes a node's inode.
func (s *shelf) attributes(id uint64, b []byte) {
	clear(b[:88])
	le.PutUint64(b, id)
	mode, size := uint32(unix.S_IFDIR|0o700), int64(0)
	if d := s.node(id); d != nil {
		mode, size = unix.S_IFREG|0o600, d.size
	}
	le.PutUint64(b[8:], uint64(size))
	le.PutUint64(b[16:], uint64(size/sectorSize))
	le.PutUint32(b[60:], mode)
	le.PutUint32(b[64:], 1)
	le.PutUint32(b[80:], pageSize)
}
