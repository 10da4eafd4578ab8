package segment

// Opening a file: a sealed one from its footer, any other by checking every byte.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"syscall"

	"github.com/darner/darner/segment/blank"
	"github.com/darner/darner/segment/disk"
)

// OpenOptions says what a segment is opened for.
type OpenOptions struct {
	// Write makes an unsealed segment ready for Append: the file is mapped at full capacity,
	// bytes after the last valid record are zeroed, and a lost copy of the header is written
	// again. A sealed segment is never written.
	Write bool

	// First is the sequence number that the segment starts with, if the file's name says it. A
	// segment that lost all copies of its header can still be read with it, but not opened for
	// writing. 0 means not known.
	First uint64

	// Log is the identity of the log that the segment should belong to. A segment known to
	// belong to another log is [ErrForeign] and is left as it is. 0 means any.
	Log uint64
}

// Open opens a segment. A sealed segment is not scanned. Any other is, and so is a sealed one with
// a damaged footer, which then counts as unsealed. Open returns the damage that it noticed, in the
// order of the file; everything else can be read. After opening for writing, call Extend before
// Append.
//
// A file in the cold form is recognized by its first bytes and opened as a sealed segment. Of its
// damage, Open returns only what cannot be rebuilt and what the directory has lost, in virtual
// offsets.
//
// If no segment is returned, the error is [ErrBlank], [ErrNotSegment], [ErrHeaderLost],
// [ErrVersion], [ErrForeign], [ErrFault] or an error of the disk. After ErrHeaderLost,
// ErrNotSegment and ErrFault the file may still open without Write.
func Open(fsys disk.FS, path string, o OpenOptions) (*Segment, []Damage, error) {
	open := fsys.OpenRead
	if o.Write {
		open = fsys.Open
	}
	f, err := open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("segment: %w", err)
	}
	s := &Segment{path: path, file: f}
	damage, err := s.load(o)
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, damage, nil
}

func (s *Segment) load(o OpenOptions) (damage []Damage, err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	size, err := s.file.Size()
	if err != nil {
		return nil, s.wrap("open", err)
	}
	s.size.Store(size)
	head, err := s.readFile(0, HeaderSize)
	if err != nil {
		return nil, err
	}
	foot, err := s.readFile(size-FooterSize, FooterSize)
	if err != nil {
		return nil, err
	}
	h, damage, flips, err := readHeader(head)
	if err != nil { // a payload at the end of a segment may look like the end of a cold file
		c := &cold{coldFile: coldFile{file: s.file}}
		switch damaged, err := c.readColdHeader(head); {
		case err == nil && c.h.foreign(o.Log):
			return nil, s.wrap("open", ErrForeign)
		case err == nil:
			return s.openCold(c, damaged)
		case !errors.Is(err, ErrNotSegment):
			return nil, s.wrap("open", err)
		}
	}
	if err != nil && !errors.Is(err, ErrVersion) {
		if third, _, e := s.thirdHeader(size); e == nil {
			h, damage, err = third, []Damage{{From: 0, To: HeaderSize, Meta: true}}, nil
		}
	}
	salt := uint64(0)
	if err == nil {
		salt = h.salt()
	}
	footer, mended, isSealed := readFooter(foot, size, salt)
	if err == nil {
		footer.Header.DueBefore, footer.Header.Expiring = h.DueBefore, h.Expiring
	}
	s.opened = openedFlips{header: flips > 0, footer: mended}
	if mended {
		flips++
	}
	s.flips.Store(uint64(flips))
	if err != nil && isSealed && o.First != 0 && footer.Header.First != o.First {
		isSealed = false // it is left from what the file held before
	}
	switch {
	case err == nil && h.foreign(o.Log), err != nil && isSealed && footer.Header.foreign(o.Log):
		return nil, s.wrap("open", ErrForeign)
	case errors.Is(err, ErrVersion):
		return nil, s.wrap("open", err)
	case isSealed && (err != nil || footer.Header == h):
		if err != nil {
			damage = []Damage{{From: 0, To: HeaderSize, Meta: true}}
		}
		return s.openSealed(&footer, damage)
	case err != nil:
		return s.openHeadless(err, o)
	}
	return s.openScanned(h, damage, o.Write)
}

// readFile reads n bytes at off, or fewer at the end of the file. A sector that cannot be read
// counts as zeros: what it held is stored once more elsewhere.
func (s *Segment) readFile(off, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := s.file.ReadAt(b, max(off, 0))
	if errors.Is(err, syscall.EIO) {
		return make([]byte, n), nil
	}
	if err != nil && err != io.EOF {
		return nil, s.wrap("open", err)
	}
	return b[:got], nil
}

func (s *Segment) mapFile(n int64, write bool) (err error) {
	if s.mem, err = s.file.Map(int(n), write); err != nil {
		return s.wrap("map", err)
	}
	s.writable = write
	return nil
}

func (s *Segment) openSealed(f *footer, damage []Damage) ([]Damage, error) {
	if err := s.mapFile(s.size.Load(), false); err != nil {
		return nil, err
	}
	x, fixes := readIndex(s.mem, f)
	s.opened.index = fixes
	s.flips.Add(uint64(len(fixes)))
	if x == nil {
		end := f.End + uint32(indexSize(int64(f.entries)))
		damage = append(damage, Damage{From: f.End, To: end, Meta: true})
	}
	s.begin(f.Header, f.End, f.Totals, x)
	s.state.Store(stateSealed)
	return damage, nil
}

// openHeadless tells a prepared or foreign file from a segment that lost its header, and opens the
// latter for reading.
func (s *Segment) openHeadless(why error, o OpenOptions) ([]Damage, error) {
	b := s.copyOut(min(s.size.Load(), MaxCapacity))
	empty := len(b) <= HeaderSize || blank.Bytes(b[HeaderSize:])
	switch {
	case errors.Is(why, ErrHeaderLost) && empty: // the process died in Start
		why = ErrBlank
	case errors.Is(why, ErrBlank) && !empty:
		why = ErrHeaderLost
	}
	if empty || o.First == 0 || o.Write {
		return nil, s.wrap("open", why)
	}
	h, ok := salvageHeader(b, HeaderSize, o.First)
	if !ok {
		return nil, s.wrap("open", why)
	}
	damage, err := s.openScanned(h, []Damage{{From: 0, To: HeaderSize, Meta: true}}, false)
	if err == nil { // otherwise a payload may have told what the header said
		_, others := salvageHeader(b, s.tail.Load(), o.First)
		s.sureHead = !others
	}
	return damage, err
}

func (s *Segment) openScanned(h Header, damage []Damage, write bool) ([]Damage, error) {
	if write && s.size.Load() < HeaderSize {
		s.extent.Lock()
		err := s.allocateLocked(0, HeaderSize)
		s.extent.Unlock()
		if err != nil {
			return nil, err
		}
	}
	size := min(s.size.Load(), MaxCapacity)
	reach := max(size, HeaderSize) // the tail is never below that
	if write {
		reach = max(size, h.Capacity)
	}
	if err := s.mapFile(reach, write); err != nil {
		return nil, err
	}
	v, err := s.judge(size, h)
	if err != nil && write {
		return nil, err
	}
	damage = append(damage, v.Damage...)
	flips := s.flips.Add(uint64(v.Mended))
	s.begin(h, v.Tail, v.Totals, v.index)
	s.state.Store(stateReadOnly)
	if write {
		if s.mend(damage, size); flips > 0 {
			s.fix(v.fixes)
		}
		if flips > 0 || h.Use > 0 { // a power cut may have left copies of earlier uses
			s.putHeader(s.header)
		}
		s.state.Store(stateActive)
	}
	return damage, nil
}

// thirdHeader reads the copy at the end of a file that was used again and is not sealed.
func (s *Segment) thirdHeader(size int64) (h Header, mended bool, err error) {
	b, err := s.readFile(size-headerLen, headerLen)
	if err != nil {
		return h, false, err
	}
	if mended, err = h.decode(b); err == nil && (h.Use == 0 || h.Capacity != size) {
		err = ErrDamaged
	}
	return h, mended, err
}

// mend makes a segment that was judged ready for Append, and keeps a copy of what was damaged.
func (s *Segment) mend(damage []Damage, size int64) {
	for i := range damage {
		d := &damage[i]
		d.Bytes = bytes.Clone(s.mem[min(int64(d.From), size):min(int64(d.To), size)])
		switch {
		case d.Tail && s.header.Use == 0:
			wipe(s.mem[d.From:d.To])
		case d.Meta:
			s.putHeader(s.header)
		}
	}
	if s.header.Use != 0 {
		s.stale.Store(uint32(size))
		clear(s.mem[s.tail.Load():min(int64(s.tail.Load())+endSize, size)])
	}
	// Blocks after the tail may be holes if the file was copied. Extend allocates them.
	s.allocated.Store(int64(s.tail.Load()))
}
