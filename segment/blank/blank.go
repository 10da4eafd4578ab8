// Package blank finds what was never written: bytes that are zero.
package blank

import (
	"encoding/binary"

	"github.com/darner/darner/segment/disk"
)

// Bytes reports whether all bytes are zero.
func Bytes(b []byte) bool {
	for _, c := range b[Skip(b, 0):] {
		if c != 0 {
			return false
		}
	}
	return true
}

// Skip returns the offset of the first 8-byte word of b, counted from p, that is not zero; or the
// offset of the end, if fewer than 8 bytes are left there.
func Skip(b []byte, p int) int {
	le := binary.LittleEndian
	for ; len(b)-p >= 64; p += 64 {
		w := b[p : p+64 : p+64]
		if le.Uint64(w)|le.Uint64(w[8:])|le.Uint64(w[16:])|le.Uint64(w[24:])|
			le.Uint64(w[32:])|le.Uint64(w[40:])|le.Uint64(w[48:])|le.Uint64(w[56:]) != 0 {
			break
		}
	}
	for ; len(b)-p >= 8 && le.Uint64(b[p:]) == 0; p += 8 {
	}
	return p
}

// Trim returns b without the zeros at its end.
func Trim(b []byte) []byte {
	end := len(b)
	for end >= 8 && binary.LittleEndian.Uint64(b[end-8:]) == 0 {
		end -= 8
	}
	for end > 0 && b[end-1] == 0 {
		end--
	}
	return b[:end]
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
