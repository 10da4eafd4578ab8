package segment

// Mending a segment that is not cold in its file: flipped bits that were met while it was read.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/darner/darner/segment/disk"
)

// openedFlips is where Open met flipped bits.
type openedFlips struct {
	header, footer bool
	index          []flip
}

// HotOptions says how to scrub a segment that is not cold.
type HotOptions struct {
	Mend       bool                  // flip flipped bits back in place, and sync
	SealedOnly bool                  // leave one alone that is not sealed
	Pace       func(bytes int) error // as in [Scrub]; may be nil
}

// ScrubHot verifies every record of a segment that is not cold, and its header, index and footer.
// first is as in [OpenOptions]. Others may read and append at the same time, but nobody may use the
// file again. The errors are those of [Scrub]. Other damage is left as it is. The report lists that
// between records first, which counts as lost, and then the flipped bits.
func ScrubHot(
	fsys disk.FS, path string, first uint64, o HotOptions,
) (r ScrubReport, err error) {
	s, _, err := Open(fsys, path, OpenOptions{First: first})
	if err != nil {
		return r, err
	}
	defer s.Close()
	if o.SealedOnly && !s.Sealed() {
		return r, nil
	}
	v, err := s.Judge()
	if err != nil {
		return r, err
	}
	for _, d := range v.Damage {
		if !d.Tail {
			r.Damaged = append(r.Damaged, d)
			r.Lost++
		}
	}
	patches := s.patches()
	for _, f := range append(v.fixes, s.opened.index...) {
		patches = append(patches, patch{at: int64(f.at), flip: f.bit})
	}
	slices.SortFunc(patches, func(a, b patch) int { return cmp.Compare(a.at, b.at) })
	for _, p := range patches {
		to := uint32(p.at) + uint32(max(1, len(p.bytes)))
		r.Damaged = append(r.Damaged, Damage{From: uint32(p.at), To: to})
	}
	r.Flipped = len(patches)
	if o.Mend && len(patches) > 0 {
		if err := writePatches(fsys, path, patches); err != nil {
			return r, fmt.Errorf("segment %s: mend: %w", path, err)
		}
		r.Mended = len(patches)
	}
	pacer := pacer{call: o.Pace, bytes: int(s.Size())}
	return r, pacer.report()
}

// patch is what to write into a file: bytes, or one that is there with a bit flipped.
type patch struct {
	at    int64
	bytes []byte
	flip  uint8
}

// patches returns those for header and footer.
func (s *Segment) patches() (list []patch) {
	if s.opened.header {
		b := s.header.encode()
		both := make([]byte, headerCopy+headerLen)
		copy(both, b[:])
		copy(both[headerCopy:], b[:])
		list = append(list, patch{bytes: both})
	}
	if s.opened.footer {
		x := *s.index.Load()
		f := footer{
			Header: s.header, Totals: s.totals, End: s.Tail(),
			entries: uint32(x.len()), indexSum: x.sum(s.key.salt, s.Tail()),
		}
		at := s.Size() - FooterSize
		b := f.encode(uint32(at))
		list = append(list, patch{at: at, bytes: b[:]})
	}
	return list
}

func writePatches(fsys disk.FS, path string, list []patch) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	for _, p := range list {
		b := p.bytes
		if b == nil {
			b = make([]byte, 1)
			if _, err = f.ReadAt(b, p.at); err != nil {
				break
			}
			b[0] ^= p.flip
		}
		if _, err = f.WriteAt(b, p.at); err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
