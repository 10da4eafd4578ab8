// Package blank tells what was never written: bytes that are all zero.
package blank

import "github.com/darner/darner/segment/disk"

// Bytes reports whether all bytes are zero.
func Bytes(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// File reports whether all bytes of a file are zero.
func File(fsys disk.FS, path string) (bool, error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return false, err
	}
	buf := make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 && err != nil {
			return false, err
		}
		if !Bytes(buf[:n]) {
			return false, nil
		}
		at += int64(n)
	}
	return true, nil
}
