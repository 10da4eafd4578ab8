package wal

// Whose files these are. A log has a random number, its identity, from when it is made, and every
// file of it carries that: what another log's directory left here, by a copy or a restore gone wrong,
// is told by it and set aside. It goes with the files: a directory may be renamed or copied as a whole.

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"syscall"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// ErrForeign: the file belongs to another log.
var ErrForeign = segment.ErrForeign

// foreign reports whether a file with an identity belongs to another log than this. One of which it is
// not known, 0, may be either's.
func foreign(identity, log uint64) bool { return identity != 0 && log != 0 && identity != log }

func newIdentity() (n uint64) {
	for n == 0 {
		n = rand.Uint64()
	}
	return n
}

// identify finds out the log's identity from its files, or makes one for a log that has none.
func (l *Log) identify(d *listing) error {
	var offsets, segments []string
	for _, name := range d.offsets {
		offsets = append(offsets, l.path(offsetName(name)))
	}
	for _, e := range d.segments {
		segments = append(segments, l.entryPath(e))
	}
	for _, e := range d.spares {
		segments = append(segments, l.path(numbered(e.n, spareSuffix)))
	}
	id, sure, err := identify(l.fs, offsets, segments)
	if id == 0 && sure {
		id = newIdentity()
	}
	l.id = id
	return err
}

// identify returns the identity of the log that files are of, 0 when none of them tells. Where the
// newest segment, the last of them, and the offset files agree no other is looked at. Else the identity
// counts that most files have, and where as many have another, the segments'. sure is false when some
// file may tell and the disk does not give it.
func identify(fsys disk.FS, offsets, segments []string) (id uint64, sure bool, err error) {
	sure = true
	votes, inSegments := map[uint64]int{}, map[uint64]int{}
	ask := func(path string, of func(disk.FS, string) (uint64, error)) (uint64, error) {
		n, err := of(fsys, path)
		switch {
		case errors.Is(err, syscall.EIO):
			sure = false
		case err != nil && !isNotExist(err):
			return 0, err
		case n != 0:
			votes[n]++
		}
		return n, nil
	}
	for _, path := range offsets {
		if _, err := ask(path, offsetsIdentity); err != nil {
			return 0, false, err
		}
	}
	told := len(votes) > 0 // one segment alone may be a stranger
	for i := len(segments) - 1; i >= 0; i-- {
		n, err := ask(segments[i], segment.Identity)
		if err != nil {
			return 0, false, err
		}
		if n == 0 {
			continue
		}
		if inSegments[n]++; told && len(votes) == 1 {
			return n, true, nil
		}
	}
	best := func(n uint64) [2]int { return [2]int{votes[n], inSegments[n]} }
	for n := range votes {
		if a, b := best(n), best(id); a[0] > b[0] || a[0] == b[0] && (a[1] > b[1] || a[1] == b[1] && n > id) {
			id = n
		}
	}
	return id, sure, nil
}

// offsetsIdentity is which log an offset file says it is of.
func offsetsIdentity(fsys disk.FS, path string) (id uint64, err error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var b [entriesAt]byte
	if _, err := f.ReadAt(b[:], 0); err != nil && err != io.EOF {
		return 0, err
	}
	for i := range 2 {
		if slot := b[i*slotSpacing:][:slotSize]; soundSlot(slot) {
			return binary.LittleEndian.Uint64(slot[48:]), nil
		}
	}
	return 0, nil
}

func soundSlot(b []byte) bool {
	return string(b[:8]) == offsetMagic && crc32.Checksum(b[:60], crcTable) == binary.LittleEndian.Uint32(b[60:])
}

// openOwn opens a segment, unless it belongs to another log: that is ErrForeign.
func (l *Log) openOwn(path string, o segment.OpenOptions) (*segment.Segment, []segment.Damage, error) {
	o.Log = l.id
	return segment.Open(l.fs, path, o)
}

// banish takes a segment out of the log that turns out to be another log's. The background sets it
// aside. Log.mu is held.
func (l *Log) banish(f *file) {
	for i := range l.files {
		if l.files[i] == f {
			l.files = append(append([]*file(nil), l.files[:i]...), l.files[i+1:]...)
			f.lost, f.gone = true, true
			l.strangers = append(l.strangers, f)
			l.stats.damaged.Add(1)
			l.askLater()
			return
		}
	}
}

// setStrangersAside moves banished files out of the log's directory.
func (l *Log) setStrangersAside() {
	l.mu.Lock()
	strangers := l.strangers
	l.strangers = nil
	l.mu.Unlock()
	for _, f := range strangers {
		if err := l.discardFile(f); err != nil && !isNotExist(err) {
			l.log.Error("a segment of another log cannot be set aside", "queue", l.name(), "file", f.path, "error", err)
		}
	}
}
