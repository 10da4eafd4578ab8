// Package identity tells which log a file belongs to. A log gets a random number, its identity,
// when it is made, and every file of it carries that number. So files that a failed copy or restore
// left in another log's directory are recognized and set aside. The identity belongs to the files:
// a directory may be renamed or copied as a whole.
package identity

import (
	"cmp"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/body"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/offset"
)

// Foreign reports whether a file with an identity belongs to another log than the given one. An
// identity of 0 is not known and may be either's.
func Foreign(identity, log uint64) bool { return identity != 0 && log != 0 && identity != log }

// New returns a new identity.
func New() (n uint64) {
	for n == 0 {
		n = rand.Uint64()
	}
	return n
}

// Of returns the identity of the log that the files of a directory belong to, 0 if none of them
// says. If the newest segment and all offset files agree, no other file is read. Otherwise the
// identity that most files have wins, and in case of a tie, the one that more segments have. sure
// is false if the disk does not return some file that may say. Before anything else it looks at one
// file of each kind. If that is of another format version, the error is segment.ErrVersion and an
// fs.PathError.
func Of(fsys disk.FS, dir string, d *files.Listing) (id uint64, sure bool, err error) {
	if err := checkVersion(fsys, dir, d); err != nil {
		return 0, false, err
	}
	sure = true
	votes, inSegments := map[uint64]int{}, map[uint64]int{}
	ask := func(f files.Info, of func(disk.FS, string) (uint64, error)) (uint64, error) {
		n, err := of(fsys, filepath.Join(dir, f.Name))
		switch {
		case errors.Is(err, syscall.EIO):
			sure = false
		case errors.Is(err, segment.ErrVersion):
			return 0, otherVersion(filepath.Join(dir, f.Name), err)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return 0, err
		case n != 0:
			votes[n]++
		}
		return n, nil
	}
	for _, f := range d.Of[files.Offset] {
		if _, err := ask(f, offset.Identity); err != nil {
			return 0, false, err
		}
	}
	known := len(votes) > 0 // one segment alone may be from another log
	for _, kind := range []files.Kind{files.Spare, files.Segment} {
		for i := len(d.Of[kind]) - 1; i >= 0; i-- {
			n, err := ask(d.Of[kind][i], segment.Identity)
			if err != nil {
				return 0, false, err
			}
			if n == 0 {
				continue
			}
			if inSegments[n]++; known && len(votes) == 1 {
				return n, true, nil
			}
		}
	}
	best := func(n uint64) [2]int { return [2]int{votes[n], inSegments[n]} }
	for n := range votes {
		a, b := best(n), best(id)
		if a[0] > b[0] || a[0] == b[0] && (a[1] > b[1] || a[1] == b[1] && n > id) {
			id = n
		}
	}
	return id, sure, nil
}

// checkVersion returns segment.ErrVersion if the last file of some kind is of another format
// version. It leaves out the kinds that Of reads anyway: offset files, spares, and the kind of the
// last segment.
func checkVersion(fsys disk.FS, dir string, d *files.Listing) error {
	check := func(list []files.Info, read func(disk.FS, string) error) error {
		if len(list) == 0 {
			return nil
		}
		path := filepath.Join(dir, list[len(list)-1].Name)
		if err := read(fsys, path); errors.Is(err, segment.ErrVersion) {
			return otherVersion(path, err)
		}
		return nil // whoever opens the file will meet any other error
	}
	ofSegment := func(fsys disk.FS, path string) error {
		_, err := segment.Identity(fsys, path)
		return err
	}
	ofOffsets := func(fsys disk.FS, path string) error {
		_, err := offset.Identity(fsys, path)
		return err
	}
	return cmp.Or(
		check(otherForm(d.Of[files.Segment]), ofSegment),
		check(d.Of[files.Rewrite], ofOffsets),
		check(d.Of[files.Body], body.CheckVersion),
		check(d.Of[files.Part], body.CheckVersion),
	)
}

// otherVersion names the file that an error is about.
func otherVersion(path string, err error) error {
	if v := segment.VersionError(0); errors.As(err, &v) {
		err = v
	}
	return &fs.PathError{Op: "read", Path: path, Err: err}
}

// otherForm returns the segments up to the last one that is not in the form of the very last, cold
// or not.
func otherForm(list []files.Info) []files.Info {
	n := len(list)
	for n > 0 && list[n-1].Cold == list[len(list)-1].Cold {
		n--
	}
	return list[:n]
}
