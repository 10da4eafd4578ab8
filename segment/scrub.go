package segment

// Scrubbing a cold file: comparing each of its bytes with what it should be. The file has enough
// redundancy to tell what that is.

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/darner/darner/segment/disk"
)

// ScrubReport is what [Scrub] found.
type ScrubReport struct {
	Damaged []Damage // ranges of the file, in order; Meta if no record is touched
	Flipped int      // flipped bits, in those of them that are sound but for a few bits
	Mended  int      // how many of them were written again
	Lost    int      // how many of them are beyond the parity: their content cannot be read
}

// Scrub verifies every byte of a cold file: the copies of header and directory, the blocks, the
// parity. With mend it rewrites what is damaged in place and syncs. Readers may use the file at the
// same time. pace is as in [WriteCold]. Errors are [ErrNotSegment], [ErrHeaderLost], [ErrVersion],
// and those of pace and of the disk.
func Scrub(fsys disk.FS, path string, mend bool, pace func(bytes int) error) (ScrubReport, error) {
	open := fsys.OpenRead
	if mend {
		open = fsys.Open
	}
	file, err := open(path)
	if err != nil {
		return ScrubReport{}, fmt.Errorf("segment: %w", err)
	}
	defer file.Close()
	s := &scrubber{coldFile: coldFile{file: file}, mend: mend, pace: pacer{call: pace}}
	if err = s.run(); err != nil {
		err = fmt.Errorf("segment %s: scrub: %w", path, err)
	}
	slices.SortFunc(s.report.Damaged, func(a, b Damage) int { return cmp.Compare(a.From, b.From) })
	return s.report, err
}

type scrubber struct {
	coldFile
	mend   bool
	pace   pacer
	report ScrubReport
	used   []Span // ranges of the file in use; everything between them is zeros
}

func (s *scrubber) run() error {
	if err := s.open(); err != nil {
		return err
	}
	header := s.h.encode()
	for _, at := range s.h.copies() {
		if err := s.compare(at, header[:], true); err != nil {
			return err
		}
	}
	for i := range s.entries {
		if err := s.verifyEntry(i); err != nil {
			return err
		}
		if err := s.verifyBlock(i); err != nil {
			return err
		}
		if err := s.pace.report(); err != nil {
			return err
		}
	}
	if err := s.between(); err != nil {
		return err
	}
	if s.report.Mended > 0 {
		return s.file.Sync()
	}
	return nil
}

func (s *scrubber) open() error {
	head := make([]byte, HeaderSize)
	if err := s.fetchPages(head, 0); err != nil {
		return err
	}
	if _, err := s.readColdHeader(head); err != nil {
		return err
	}
	_, err := s.readDirectory()
	return err
}

// verifyEntry compares both copies of an entry of the directory.
func (s *scrubber) verifyEntry(i int) error {
	for _, directory := range []int64{HeaderSize, int64(s.h.directory)} {
		at := directory + int64(i)*coldEntry
		if s.entries[i].lost {
			s.lose(at, coldEntry, s.h.isParity(i))
		} else if err := s.compare(at, s.entries[i].encode(nil, s.h.Salt, i), true); err != nil {
			return err
		}
	}
	return nil
}

// verifyBlock verifies the block of an entry and compares the checksums of its pieces.
func (s *scrubber) verifyBlock(i int) error {
	e := &s.entries[i]
	if e.lost {
		return nil
	}
	meta := s.h.isParity(i)
	want, mended, err := s.stored(i)
	if errors.Is(err, ErrDamaged) {
		s.lose(int64(e.place), int64(e.stored), meta)
		for _, at := range e.pieces[:min(2, 2*int(s.h.parity))] {
			s.use(int64(at), int64(e.sumsLen()))
		}
		return nil
	}
	if err != nil {
		return err
	}
	s.use(int64(e.place), int64(e.stored))
	s.pace.bytes += len(want)
	if mended {
		for c := range e.columns() {
			from, to := e.piece(c)
			if err := s.compare(int64(e.place)+int64(from), want[from:to], meta); err != nil {
				return err
			}
		}
	}
	if s.h.parity == 0 {
		return nil
	}
	sums := e.pieceSums(nil, s.h.Salt, want)
	return errors.Join(
		s.compare(int64(e.pieces[0]), sums, true),
		s.compare(int64(e.pieces[1]), sums, true))
}

// between compares the unused ranges of the file with zeros. If something is lost, it is not known
// which ranges are unused.
func (s *scrubber) between() error {
	slices.SortFunc(s.used, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	if s.report.Lost > 0 {
		return nil
	}
	at := int64(0)
	for _, u := range s.used {
		if n := int64(u.From) - at; n > 0 {
			if err := s.compare(at, make([]byte, n), true); err != nil {
				return err
			}
		}
		at = max(at, int64(u.To))
	}
	return nil
}

// compare compares the file's bytes at an offset with want, and notes and mends a difference.
func (s *scrubber) compare(at int64, want []byte, meta bool) error {
	s.use(at, int64(len(want)))
	s.pace.bytes += len(want)
	got := make([]byte, len(want))
	whole, err := s.fetch(got, at)
	if err != nil || whole && bytes.Equal(got, want) {
		return err
	}
	s.damage(at, int64(len(want)), meta)
	if n := distance(got, want); whole && n <= fewBits {
		s.report.Flipped += n
	}
	if !s.mend {
		return nil
	}
	s.report.Mended++
	_, err = s.file.WriteAt(want, at)
	return err
}

// fewBits: a range in which more bits are not as they should be has other damage than flipped bits.
const fewBits = 4

// distance returns in how many bits two slices of the same length differ.
func distance(a, b []byte) (n int) {
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

func (s *scrubber) use(at, n int64) { s.used = append(s.used, Span{uint32(at), uint32(at + n)}) }

func (s *scrubber) damage(at, n int64, meta bool) {
	d := Damage{From: uint32(at), To: uint32(at + n), Meta: meta}
	s.report.Damaged = append(s.report.Damaged, d)
}

func (s *scrubber) lose(at, n int64, meta bool) {
	s.use(at, n)
	s.damage(at, n, meta)
	s.report.Lost++
}
