// Package identity tells which log a file belongs to. A log gets a random number, its identity,
// when it is made, and every file of it carries that number. So files that a failed copy or restore
// left in another log's directory are recognized and set aside. The identity belongs to the files:
// a directory may be renamed or copied as a whole.
package identity

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
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
// is false if the disk does not return some file that may say.
func Of(fsys disk.FS, dir string, d *files.Listing) (id uint64, sure bool, err error) {
	sure = true
	votes, inSegments := map[uint64]int{}, map[uint64]int{}
	ask := func(f files.Info, of func(disk.FS, string) (uint64, error)) (uint64, error) {
		n, err := of(fsys, filepath.Join(dir, f.Name))
		switch {
		case errors.Is(err, syscall.EIO):
			sure = false
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
