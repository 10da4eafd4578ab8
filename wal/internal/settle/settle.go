// Package settle finds out which segments the files of a log's directory are. A file that is used
// again gets its new header at once and its new name later, and neither is on stable storage before
// the next sync. So a crash may leave a header that is not that of the name. The header decides.
package settle

import (
	"cmp"
	"errors"
	"math"
	"path/filepath"
	"slices"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/identity"
	"github.com/darner/darner/wal/internal/offset"
)

// Settled is the segments of a log.
type Settled struct {
	// Head is the number below which every consumer has taken everything; 0 if that is not known.
	Head uint64

	// Durable is the number below which items were on stable storage: see Durable.
	Durable uint64

	// Segments are ordered by their first numbers, which are those of the headers where names and
	// headers differ. Started spares are among them.
	Segments []files.Info

	// Unused are spares that hold no segment, or none that can be read, and Outdated are files with
	// the name of a segment whose header never got there: all that is in them is taken.
	Unused, Outdated []files.Info
}

// Look settles the segments of a listing. log is the log's identity, 0 if it is not known: files of
// other logs keep their names. Errors are those of the disk.
func Look(fsys disk.FS, dir string, d *files.Listing, log uint64) (s Settled, err error) {
	if s.Head, s.Durable, err = consumed(fsys, dir, d, log); err != nil {
		return s, err
	}
	header := func(f files.Info) (h segment.Header, ok bool, err error) {
		h, err = segment.ReadHeader(fsys, filepath.Join(dir, f.Name))
		switch {
		case err == nil:
			return h, !identity.Foreign(h.Log, log), nil
		case segment.Unreadable(err):
			return h, false, nil
		}
		return h, false, err
	}
	var again []renumbered // started under another name
	for _, f := range d.Of[files.Spare] {
		h, ok, err := header(f)
		switch {
		case err != nil:
			return s, err
		case ok:
			again = append(again, renumbered{f, h.First})
		default:
			s.Unused = append(s.Unused, f)
		}
	}
	for _, f := range d.Of[files.Segment] {
		if f.Cold || f.Number >= s.Head { // no file is used again before all in it is taken
			s.Segments = append(s.Segments, f)
			continue
		}
		h, ok, err := header(f)
		switch {
		case err != nil:
			return s, err
		case !ok || h.First == f.Number:
			s.Segments = append(s.Segments, f)
		case h.First < f.Number:
			taken, err := allBelow(fsys, filepath.Join(dir, f.Name), s.Head)
			if err != nil {
				return s, err
			}
			if taken {
				s.Outdated = append(s.Outdated, f)
			} else {
				s.Segments = append(s.Segments, f)
			}
		default:
			again = append(again, renumbered{f, h.First})
		}
	}
	s.add(again)
	return s, nil
}

// allBelow reports whether all records of a segment are below head.
func allBelow(fsys disk.FS, path string, head uint64) (bool, error) {
	seg, _, err := segment.Open(fsys, path, segment.OpenOptions{})
	if err != nil {
		if segment.Unreadable(err) {
			err = nil
		}
		return false, err
	}
	return seg.Totals().Last < head, seg.Close()
}

// add puts files where their headers say they belong. No crash leaves two with one header: if
// there is another file with the name, that one has precedence.
func (s *Settled) add(again []renumbered) {
	for _, f := range again {
		i, there := s.place(f.first)
		switch {
		case !there || s.Segments[i].Cold:
			f.Kind, f.Number, f.Through = files.Segment, f.first, f.first
		case f.Kind == files.Spare:
			s.Unused = append(s.Unused, f.Info)
			continue
		default:
			i, _ = s.place(f.Number)
		}
		s.Segments = slices.Insert(s.Segments, i, f.Info)
	}
}

func (s *Settled) place(number uint64) (i int, there bool) {
	return slices.BinarySearchFunc(s.Segments, number, func(f files.Info, n uint64) int {
		return cmp.Compare(f.Number, n)
	})
}

// renumbered is a file whose header has another number than its name.
type renumbered struct {
	files.Info
	first uint64
}

// Durable returns the number below which items were on stable storage, with the names and headers
// of their segments; the highest number if no offset file says. A segment that begins at it or
// later may have the name of another one: see First.
func Durable(fsys disk.FS, dir string, d *files.Listing, log uint64) (uint64, error) {
	_, durable, err := consumed(fsys, dir, d, log)
	return durable, err
}

// First is what the lost header of a segment said its first number was, which its name tells if it
// begins below durable; 0 if that is not sure.
func First(name, durable uint64) uint64 {
	if name < durable {
		return name
	}
	return 0
}

// consumed returns what offset files say: Durable, and the lowest head of all consumers. That is 0
// if that of any is not known, or of the log's own, which is made when it is missing. A rewrite
// that a crash interrupted counts as the file that it was to replace.
func consumed(
	fsys disk.FS, dir string, d *files.Listing, log uint64,
) (lowest, durable uint64, err error) {
	heads := make(map[string]uint64)
	known := true
	for _, f := range slices.Concat(d.Of[files.Offset], d.Of[files.Rewrite]) {
		path := filepath.Join(dir, f.Name)
		st, whose, _, err := offset.Peek(fsys, path)
		switch {
		case err == nil && !identity.Foreign(whose, log):
			heads[f.Consumer()] = max(heads[f.Consumer()], st.Head)
			durable = max(durable, st.Durable)
			continue
		case err != nil && !errors.Is(err, offset.ErrNoSlot):
			return 0, 0, err
		}
		if empty, err := blank.File(fsys, path); err != nil {
			return 0, 0, err
		} else if !empty && f.Kind == files.Offset {
			known = false
		}
	}
	if len(heads) == 0 {
		durable = math.MaxUint64
	}
	if !known {
		return 0, durable, nil
	}
	lowest = heads[""]
	for _, head := range heads {
		lowest = min(lowest, head)
	}
	return lowest, durable, nil
}
