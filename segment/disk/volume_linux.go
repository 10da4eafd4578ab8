package disk

// Syncing a whole volume: one system call for any number of files.

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Volume opens the file and keeps it open: the kernel reports to each handle the errors since it
// was opened.
func (OS) Volume(file string) (Volume, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if !syncsVolume(int(f.Fd())) || !syncTellsErrors() {
		f.Close()
		return nil, &fs.PathError{Op: "sync volume", Path: file, Err: errors.ErrUnsupported}
	}
	return &volume{File: f}, nil
}

type volume struct{ *os.File }

func (v *volume) Holds(name string) bool {
	var there, here unix.Stat_t
	return unix.Lstat(name, &there) == nil && unix.Fstat(int(v.Fd()), &here) == nil &&
		there.Dev == here.Dev
}

// Sync also syncs the file. If all that was left to write was data in existing blocks, xfs does not
// make the disk empty its cache for syncfs, but it does for a file.
func (v *volume) Sync() error {
	err := uninterrupted(func() error { return unix.Syncfs(int(v.Fd())) })
	if err == nil {
		err = uninterrupted(func() error { return unix.Fdatasync(int(v.Fd())) })
	}
	if err != nil {
		return &fs.PathError{Op: "sync volume", Path: v.Name(), Err: err}
	}
	return nil
}

// syncsVolume reports whether syncfs is known to make the disk empty its cache, on the file system
// of an open file.
func syncsVolume(fd int) bool {
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

// syncTellsErrors reports whether the kernel's syncfs reports errors: since Linux 5.8.
func syncTellsErrors() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	major, minor := version(unix.ByteSliceToString(u.Release[:]))
	return major > 5 || major == 5 && minor >= 8
}

// version returns the first two numbers of a kernel's release, such as 6.1.0-13-amd64; 0 for what
// is not a number.
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
