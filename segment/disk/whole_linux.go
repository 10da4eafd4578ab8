package disk

// Syncing a file system as a whole: one system call for any number of files.

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Whole opens the file, and keeps it open: the kernel tells each handle of the errors there were since it
// was opened.
func (OS) Whole(file string) (Whole, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if !syncsWhole(int(f.Fd())) || !syncTellsErrors() {
		f.Close()
		return nil, &fs.PathError{Op: "sync whole", Path: file, Err: errors.ErrUnsupported}
	}
	return &whole{File: f}, nil
}

type whole struct{ *os.File }

func (w *whole) Holds(name string) bool {
	var there, here unix.Stat_t
	return unix.Lstat(name, &there) == nil && unix.Fstat(int(w.Fd()), &here) == nil && there.Dev == here.Dev
}

// Sync syncs the file besides: where nothing was left to write but data into blocks that were there, xfs does not
// have the disk empty its cache, and for a file it does.
func (w *whole) Sync() error {
	err := uninterrupted(func() error { return unix.Syncfs(int(w.Fd())) })
	if err == nil {
		err = uninterrupted(func() error { return unix.Fdatasync(int(w.Fd())) })
	}
	if err != nil {
		return &fs.PathError{Op: "sync whole", Path: w.Name(), Err: err}
	}
	return nil
}

// syncsWhole reports whether the file system of a file is one of which a sync as a whole is known to end in the disk's
// emptying its cache.
func syncsWhole(fd int) bool {
	var s unix.Statfs_t
	if uninterrupted(func() error { return unix.Fstatfs(fd, &s) }) != nil {
		return false
	}
	switch uint32(s.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC:
		return true
	}
	return false
}

// syncTellsErrors reports whether the kernel's syncfs does: since Linux 5.8.
func syncTellsErrors() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	major, minor := version(unix.ByteSliceToString(u.Release[:]))
	return major > 5 || major == 5 && minor >= 8
}

// version reads the first two numbers of a kernel's release, as 6.1.0-13-amd64; 0 for what is none.
func version(release string) (major, minor int) {
	n := [2]int{}
	at := 0
	for _, c := range []byte(release) {
		switch {
		case c >= '0' && c <= '9':
			n[at] = min(n[at]*10+int(c-'0'), 1<<20)
		case c == '.' && at == 0:
			at = 1
		default:
			return n[0], n[1]
		}
	}
	return n[0], n[1]
}
