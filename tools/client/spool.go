package client

// The protocol sends an item's size before its body, so input of unknown size is spooled first.

import (
	"bytes"
	"io"
	"os"
)

// memorySpool is how many bytes are kept in memory. Longer input goes to a temporary file.
const memorySpool = 1 << 20

// sized is an input of known size.
type sized struct {
	io.Reader
	size  int64
	close func() error
}

// hasSize reports whether a file tells its size. Files in /proc are regular and say that it is 0.
func hasSize(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

func nothing() error { return nil }

// size finds out how many bytes r holds, and reads it if necessary.
func size(r io.Reader) (sized, error) {
	if f, ok := r.(*os.File); ok && hasSize(f) {
		info, err := f.Stat()
		if err != nil {
			return sized{}, err
		}
		at, err := f.Seek(0, io.SeekCurrent)
		return sized{f, max(info.Size()-at, 0), nothing}, err
	}
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, memorySpool)
	if err == io.EOF {
		return sized{&head, n, nothing}, nil
	}
	if err != nil {
		return sized{}, err
	}
	return spoolFile(io.MultiReader(&head, r))
}

// spoolFile copies r to a temporary file, which has no name any more.
func spoolFile(r io.Reader) (sized, error) {
	f, err := os.CreateTemp("", "darner-put-*")
	if err != nil {
		return sized{}, err
	}
	os.Remove(f.Name())
	n, err := io.Copy(f, r)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return sized{}, err
	}
	return sized{f, n, f.Close}, nil
}
