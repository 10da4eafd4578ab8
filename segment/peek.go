package segment

// Looking at a file without opening it: at the header alone.

import (
	"fmt"

	"github.com/darner/darner/segment/disk"
)

// ReadHeader returns the header of a segment that is not cold. It reads nothing else, so that it is
// quick whatever the file holds. If no copy is sound, the error is one of those that [Open] has for
// such a file, or of the disk.
func ReadHeader(fsys disk.FS, path string) (Header, error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return Header{}, fmt.Errorf("segment: %w", err)
	}
	defer f.Close()
	s := &Segment{path: path, file: f}
	b, err := s.readFile(0, HeaderSize)
	if err != nil {
		return Header{}, err
	}
	h, _, _, err := readHeader(b)
	if err == nil {
		return h, nil
	}
	if size, e := f.Size(); e == nil {
		if third, _, e := s.thirdHeader(size); e == nil {
			return third, nil
		}
	}
	return Header{}, s.wrap("read header", err)
}
