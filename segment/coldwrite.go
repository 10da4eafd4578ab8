package segment

// Writing a cold file. First the records are counted, because the directory in front needs to know
// how many blocks there will be. Then the blocks are written, and last the header and the
// directory.

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/darner/darner/segment/checksum"
	"github.com/darner/darner/segment/disk"
)

var errChanged = errors.New("keep accepted a record that it had refused before")

// WriteCold writes those records of sources that keep accepts to a new cold file. When it returns,
// the file is on stable storage; its name is, once the directory was synced. The sources are
// adjacent and in order, and nobody appends to them any more. Any of them may be cold. Damaged
// records are left out.
//
// The file's header is that of the first source. It takes its log from the first source that knows
// it, and its highest number from the last source, even if that record is dropped.
//
// keep is asked twice for each record: first to count the blocks, then for good. It may refuse the
// second time what it accepted the first time, but not the other way round. The record is valid
// only during the call.
//
// pace may be nil. It is called between blocks with the number of bytes read and written since its
// last call. An error of pace, or any other, ends the work and leaves no file. The error is
// [ErrFull] if the records take more than [MaxCapacity] of virtual offsets.
func WriteCold(
	fsys disk.FS, path string, sources []*Segment, o ColdOptions,
	keep func(r *Record) bool, pace func(bytes int) error,
) error {
	if len(sources) == 0 || o.Parity < 0 || o.Parity > maxParity || o.Codec > CodecZstd {
		return fmt.Errorf("segment %s: cannot write %d segments as %+v", path, len(sources), o)
	}
	w := &coldWriter{
		path: path, sources: sources, keep: keep, pace: pacer{call: pace},
		h: newColdHeader(sources, o),
	}
	if err := w.prepare(o); err != nil {
		return err
	}
	f, err := fsys.Create(path)
	if err != nil {
		return fmt.Errorf("segment: %w", err)
	}
	w.file = f
	err = w.write()
	if e := f.Close(); err == nil && e != nil {
		err = w.wrap(e)
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(path))
	}
	return nil
}

func newColdHeader(sources []*Segment, o ColdOptions) coldHeader {
	h := coldHeader{Header: sources[0].Header(), codec: o.Codec, parity: uint8(o.Parity)}
	for _, s := range sources {
		if h.Log == 0 {
			h.Log = s.Header().Log
		}
	}
	h.Salt, h.Use = newSalt(), 0
	return h
}

// pacer reports to the caller how much was read and written.
type pacer struct {
	call  func(bytes int) error
	bytes int
}

// report is called between blocks.
func (p *pacer) report() error {
	n := p.bytes
	if p.bytes = 0; p.call == nil || n == 0 {
		return nil
	}
	return p.call(n)
}

type coldWriter struct {
	path    string
	sources []*Segment
	keep    func(*Record) bool
	pace    pacer

	file disk.File
	h    coldHeader

	most       int       // data blocks that the directory has room for
	block      coldBlock // being filled
	raw        []byte
	compressor *compressor
	parities   parities

	place   int64   // in the file, after what was written
	alone   bool    // what comes next starts on a new page
	blocks  int     // data blocks so far
	entries []entry // so far; pieces[1] is relative to the start of sums
	start   int     // the group's first entry
	sums    []byte  // checksums of all pieces so far
	began   int     // where the group's begin in sums
}

func (w *coldWriter) wrap(err error) error {
	return fmt.Errorf("segment %s: write: %w", w.path, err)
}

func (w *coldWriter) prepare(o ColdOptions) (err error) {
	if w.compressor, err = newCompressor(o); err != nil {
		return w.wrap(err)
	}
	if w.parities, err = newParities(o.Parity); err != nil {
		return w.wrap(err)
	}
	return w.count()
}

// records calls fn with every record to keep.
func (w *coldWriter) records(fn func(r *Record) error) error {
	last, any := uint64(0), false
	for i, s := range w.sources {
		if i > 0 && s.Header().First <= w.sources[i-1].Last() {
			return w.wrap(fmt.Errorf("%s does not follow %s", s.path, w.sources[i-1].path))
		}
		err := s.each(func(r *Record) error {
			w.pace.bytes += int(r.Size())
			if any && r.Seq <= last { // it verifies, but it is stale or out of place
				return nil
			}
			last, any = r.Seq, true
			if !w.keep(r) {
				return nil
			}
			return fn(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls fn with every valid record, under [Guard].
func (s *Segment) each(fn func(r *Record) error) (err error) {
	defer Guard(s.path, debug.SetPanicOnFault(true), &err)
	var r Record
	for off := uint32(HeaderSize); ; {
		var next uint32
		r, next, err = s.At(off)
		if errors.Is(err, ErrDamaged) {
			if next, err = s.Resync(off + Align); err == nil {
				off = next
				continue
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err = fn(&r); err != nil {
			return err
		}
		off = next
	}
}

// count counts the data blocks that there will be at most.
func (w *coldWriter) count() error {
	var c cutter
	err := w.records(func(r *Record) error {
		if !c.cut(r) {
			return nil
		}
		w.most++
		return w.pace.report()
	})
	if c.bytes > 0 {
		w.most++
	}
	w.h.blocks = uint32(w.most)
	return err
}

// cutter cuts the records into blocks. Leaving records out never makes more blocks.
type cutter struct{ bytes int64 }

// cut reports whether a record starts a new block.
func (c *cutter) cut(r *Record) bool {
	n := int64(len(r.Note)) + int64(len(r.Payload)) + headBytes
	start := c.bytes > 0 && c.bytes+n > blockBytes
	if start {
		c.bytes = 0
	}
	c.bytes += n
	return start
}

func (w *coldWriter) write() error {
	w.place = HeaderSize + w.h.directoryLen()
	if err := w.writeBlocks(); err != nil {
		return err
	}
	if err := w.describe(); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return w.wrap(err)
	}
	return w.pace.report()
}

func (w *coldWriter) writeBlocks() error {
	w.block.reset(HeaderSize)
	var c cutter
	err := w.records(func(r *Record) error {
		if c.cut(r) {
			if err := w.writeBlock(); err != nil {
				return err
			}
		}
		if int64(w.block.to)+virtualSize(r) > MaxCapacity {
			return w.wrap(ErrFull)
		}
		w.block.add(r)
		w.h.totals.add(r)
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.writeBlock(); err != nil {
		return err
	}
	w.h.end, w.h.totals.Last = w.block.to, w.sources[len(w.sources)-1].Last()
	return w.endGroup()
}

// writeBlock writes the current block, if it is not empty, and begins the next.
func (w *coldWriter) writeBlock() error {
	b := &w.block
	if len(b.records) == 0 {
		return nil
	}
	if w.blocks == w.most {
		return w.wrap(errChanged)
	}
	w.raw = b.encode(w.raw[:0], w.h.Created)
	stored, codec := w.compressor.compress(w.raw)
	e := entry{
		kind: dataBlock, codec: codec, raw: uint32(len(w.raw)), records: uint32(len(b.records)),
		from: b.from, to: b.to, first: b.records[0].seq,
	}
	if err := w.parities.add(w.blocks%groupData, stored); err != nil {
		return w.wrap(err)
	}
	if err := w.store(e, stored); err != nil {
		return err
	}
	w.blocks++
	b.reset(b.to)
	if w.blocks%groupData == 0 {
		if err := w.endGroup(); err != nil {
			return err
		}
	}
	return w.pace.report()
}

// store writes the stored bytes of a block to the next free place and appends its entry.
func (w *coldWriter) store(e entry, stored []byte) error {
	short := w.h.parity > 0 && len(stored) < shortBlock
	e.place, e.stored = w.room(len(stored), short), uint32(len(stored))
	w.alone = short
	e.sum = checksum.Update(e.sumStart(w.h.Salt), stored)
	if w.h.parity > 0 {
		e.pieces[1] = uint32(len(w.sums))
		w.sums = e.pieceSums(w.sums, w.h.Salt, stored)
	}
	w.entries = append(w.entries, e)
	return w.put(stored, int64(e.place))
}

// room returns where to write the next n bytes.
func (w *coldWriter) room(n int, alone bool) uint32 {
	p := align(w.place)
	if alone || w.alone {
		p = (p + pieceSize - 1) &^ (pieceSize - 1)
	}
	w.place, w.alone = p+int64(n), false
	return uint32(p)
}

// endGroup writes the checksums of all pieces of the group, and its parity. The checksums go first,
// so that there are always blocks between them and their second copy.
func (w *coldWriter) endGroup() error {
	if w.start == len(w.entries) || w.h.parity == 0 {
		return nil
	}
	n := len(w.sums) - w.began
	for _, p := range w.parities.shards {
		e := entry{stored: uint32(len(p))}
		n += e.sumsLen()
	}
	at := w.room(n, false)
	for _, p := range w.parities.shards {
		if err := w.store(entry{kind: parityBlock}, p); err != nil {
			return err
		}
	}
	for i := range w.entries[w.start:] {
		e := &w.entries[w.start+i]
		e.pieces[0] = at + e.pieces[1] - uint32(w.began)
	}
	if err := w.put(w.sums[w.began:], int64(at)); err != nil {
		return err
	}
	w.start, w.began = len(w.entries), len(w.sums)
	w.parities.reset()
	return nil
}

// describe writes the second copies of checksums and directory and the last copy of the header at
// the end of the file, and the first copies at its start.
func (w *coldWriter) describe() error {
	w.alone = w.alone || w.h.parity > 0 && w.blocks == 0
	at := w.room(len(w.sums), false)
	w.h.directory = uint32(align(w.place))
	w.h.blocks = uint32(w.blocks)
	w.h.size = w.h.directory + uint32(w.h.directoryLen()) + coldHeaderLen
	var directory []byte
	for i := range w.entries {
		e := &w.entries[i]
		if w.h.parity > 0 {
			e.pieces[1] += at
		}
		directory = e.encode(directory, w.h.Salt, i)
	}
	header := w.h.encode()
	front := make([]byte, HeaderSize, HeaderSize+len(directory))
	copy(front, header[:])
	copy(front[headerCopy:], header[:])
	end := append(w.sums, make([]byte, int(w.h.directory-at)-len(w.sums))...)
	end = append(append(end, directory...), header[:]...)
	if err := w.put(end, int64(at)); err != nil {
		return err
	}
	return w.put(append(front, directory...), 0)
}

func (w *coldWriter) put(b []byte, at int64) error {
	if _, err := w.file.WriteAt(b, at); err != nil {
		return w.wrap(err)
	}
	w.pace.bytes += len(b)
	return nil
}
