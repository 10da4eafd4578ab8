package disk

// The real file system. Allocation and syncing differ between operating systems: they are in
// os_linux.go and os_other.go.

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// OS is the operating system's file system.
type OS struct {
	// Owners, if set, decides whose new files and directories are. By default they are this
	// process's, readable by owner and group as far as the umask allows.
	Owners *Owners

	// Descriptors are what open files share. If nil, each file keeps its own.
	Descriptors *Descriptors
}

const (
	filePerm = 0o640
	dirPerm  = 0o750
)

func (o OS) Create(name string) (File, error) {
	f, err := o.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if out, err := f.hold(); err == nil {
		o.Owners.made(out)
		f.release()
	}
	return f, nil
}

func (o OS) Open(name string) (File, error) { return orNil(o.open(name, os.O_RDWR)) }

func (o OS) OpenRead(name string) (File, error) { return orNil(o.open(name, os.O_RDONLY)) }

func orNil(f *file, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (o OS) open(name string, flag int) (*file, error) {
	h, err := openHandle(o.Descriptors, name, flag)
	if err != nil {
		return nil, err
	}
	return &file{handle: h, fallocate: fallocate}, nil
}

// borrow takes a descriptor for the time of a call.
func (o OS) borrow() (giveBack func()) {
	if o.Descriptors == nil {
		return func() {}
	}
	o.Descriptors.mustTake()
	return o.Descriptors.Give
}

func (o OS) ReadDir(dir string) ([]Entry, error) {
	defer o.borrow()()
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(list))
	for _, d := range list {
		e := Entry{Name: d.Name(), Dir: d.IsDir()}
		// A directory's size is not asked for: 100,000 queues would cost as many stats.
		if !e.Dir {
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			e.Size, e.Allocated = info.Size(), blocks(info)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (o OS) Mkdir(dir string) error {
	if o.Owners != nil {
		return o.Owners.mkdir(filepath.Clean(dir))
	}
	return os.MkdirAll(dir, dirPerm)
}

func (o OS) Rename(from, to string) error {
	o.Owners.replaces(from, to)
	rename := func() error { return os.Rename(from, to) }
	if o.Descriptors == nil {
		return rename()
	}
	return o.Descriptors.rename(from, to, rename)
}

func (o OS) Remove(name string) error {
	remove := func() error { return os.Remove(name) }
	if o.Descriptors == nil {
		return remove()
	}
	return o.Descriptors.remove(name, remove)
}

func (OS) Allocated(name string) (int64, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return 0, err
	}
	return blocks(info), nil
}

// blockUnit is the unit in which Unix counts blocks, whatever the size of a block.
const blockUnit = 512

// blocks returns the bytes that du counts.
func blocks(info fs.FileInfo) int64 {
	return int64(info.Sys().(*syscall.Stat_t).Blocks) * blockUnit
}

func (OS) Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := uninterrupted(func() error { return unix.Statfs(dir, &s) }); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	free, size := uint64(s.Bavail), uint64(s.Bsize)
	if size == 0 || free > math.MaxInt64/size { // some network file systems have no bound
		return math.MaxInt64, nil
	}
	return int64(free * size), nil
}

func (o OS) SyncDir(dir string) error {
	defer o.borrow()()
	f, err := spare.open(dir)
	if err != nil {
		return err
	}
	defer spare.close(f)
	err = f.Sync()
	// Some network and FUSE file systems have nothing to sync in a directory and return EINVAL.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func (o OS) Lock(name string) (io.Closer, error) {
	f, err := o.openLock(name)
	if err != nil {
		return nil, err
	}
	return lock(f)
}

func (OS) LockDir(dir string) (io.Closer, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return lock(f)
}

// lock locks a file that it owns from now on.
func lock(f *os.File) (io.Closer, error) {
	err := uninterrupted(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return f, nil
}

// openLock opens the file of a lock, and makes it if need be.
func (o OS) openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if errors.Is(err, fs.ErrExist) { // somebody else made it meanwhile
		return os.OpenFile(name, os.O_RDWR, 0)
	}
	if err == nil {
		o.Owners.made(f)
	}
	return f, err
}

// file is an open file.
type file struct {
	*handle
	fallocate func(f *os.File, off, n int64) error // a field, so that tests can replace it
	maps      maps
	mapped    atomic.Int32 // how many maps there are
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	in, err := f.hold()
	if err != nil {
		return 0, err
	}
	defer f.release()
	return in.ReadAt(p, off)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	out, err := f.hold()
	if err != nil {
		return 0, err
	}
	defer f.release()
	return out.WriteAt(p, off)
}

func (f *file) Truncate(size int64) error {
	out, err := f.hold()
	if err != nil {
		return err
	}
	defer f.release()
	return out.Truncate(size)
}

func (f *file) Size() (int64, error) {
	s, err := f.stat()
	return s.Size, err
}

func (f *file) Allocated() (int64, error) {
	s, err := f.stat()
	return int64(s.Blocks) * blockUnit, err
}

// Sync leaves it to each system how.
func (f *file) Sync() error {
	out, err := f.hold()
	if err != nil {
		return err
	}
	defer f.release()
	return f.wrap("sync", f.syncFile(out))
}

func (f *file) Allocate(off, n int64) error {
	if off < 0 || n < 1 {
		return f.wrap("allocate", unix.EINVAL)
	}
	out, err := f.hold()
	if err != nil {
		return err
	}
	err = f.fallocate(out, off, n)
	f.release()
	if errors.Is(err, errors.ErrUnsupported) {
		return f.appendZeros(off, off+n)
	}
	return f.wrap("allocate", err)
}

// appendZeros writes zeros to the bytes off..to, but not below the end of the file: a store into a
// map may be under way there.
func (f *file) appendZeros(off, to int64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	var zeros [64 << 10]byte
	for at := max(off, size); at < to; {
		n, err := f.WriteAt(zeros[:min(to-at, int64(len(zeros)))], at)
		if err != nil {
			// On a full disk, half an extent helps nobody. Others may use the blocks.
			return errors.Join(err, f.Truncate(size))
		}
		at += int64(n)
	}
	return nil
}

func (f *file) Map(n int, writable bool) ([]byte, error) {
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	in, err := f.hold()
	if err != nil {
		return nil, err
	}
	defer f.release()
	if err := mapped.take(n); err != nil {
		return nil, f.wrap("map", err)
	}
	b, err := unix.Mmap(int(in.Fd()), 0, n, prot, unix.MAP_SHARED)
	if err != nil {
		mapped.giveBack(n)
		return nil, f.wrap("map", err)
	}
	if writable {
		f.maps.add(b)
		advise(in, b)
	}
	if f.mapped.Add(1) == 1 {
		f.setSpare(true)
	}
	return b, nil
}

func (f *file) Unmap(b []byte) error {
	f.maps.remove(b)
	if err := unix.Munmap(b); err != nil {
		return f.wrap("unmap", err)
	}
	if f.mapped.Add(-1) == 0 {
		f.setSpare(false)
	}
	mapped.giveBack(len(b))
	return nil
}

// uninterrupted repeats a system call that a signal broke off. The Go runtime sends itself many
// signals.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
