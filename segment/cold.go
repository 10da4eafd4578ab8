package segment

// The cold form of a segment: what a caller sees of it. Its records stand in compressed blocks, and
// go by the offsets they would have in a segment that holds them uncompressed: virtual offsets.

import (
	"errors"

	"github.com/darner/darner/segment/disk"
)

// Codec is how the blocks of a cold file are compressed.
type Codec uint8

// The codecs. A block that does not get smaller is stored as it is.
const (
	CodecNone Codec = iota
	CodecS2
	CodecZstd
)

// ColdOptions says what a cold file is made like.
type ColdOptions struct {
	Codec  Codec
	Level  int // of zstd, 1 to 19 as its command line has them; 0 means 1
	Parity int // parity blocks for every 16 data blocks, 0 to 4
}

// cold is what an open cold file has besides what every segment has.
type cold struct{}

var errUnfinished = errors.New("not built yet")

// WriteCold writes the records of sources that keep accepts to a new cold file, and returns when
// it is on stable storage; its name is when the directory was synced. The sources are
// adjacent, in order, and no longer appended to; any of them may be cold. Damaged records are passed
// over.
//
// The first source's header becomes the file's, and the last one's Last, be that record dropped or
// not. keep is asked twice for each record: first to learn how many blocks there will be, then for
// good. It may refuse a record that it accepted at first, but not the other way round. The record is valid during the call only.
//
// pace, unless nil, is called between blocks with the bytes read and written since the last call. An
// error from it, or any other, ends the work and leaves no file. [ErrFull]: the records
// take more than [MaxCapacity] of virtual offsets.
func WriteCold(fsys disk.FS, path string, sources []*Segment, o ColdOptions, keep func(r *Record) bool, pace func(bytes int) error) error {
	return errUnfinished
}

// Cold reports whether the segment is in its cold form. It is sealed then, too.
func (s *Segment) Cold() bool { return s.cold != nil }

// Prefetch decodes the block behind the one that off is in, so that a reader who comes to it finds
// it ready. It does nothing for a segment that is not cold, and at the last block. It is
// [ErrDamaged] if the block is lost.
func (s *Segment) Prefetch(off uint32) error { return nil }

// BlockEnd returns where the block ends that off is in: the tail, of a segment that is not cold.
func (s *Segment) BlockEnd(off uint32) uint32 { return s.Tail() }

// FileRange returns which bytes of the file hold the records in from..to: of a cold file those of the blocks
// they are in, else from and to. [Segment.Bytes] of from and to is a copy of these bytes.
func (s *Segment) FileRange(from, to uint32) (uint32, uint32) { return from, to }

// Rebuilt returns how often, since the segment was opened, damage was met that cost nothing: a block
// rebuilt from its parity, or a damaged copy of the header or the directory. [Scrub] mends it.
func (s *Segment) Rebuilt() uint64 { return 0 }

// ScrubReport is what [Scrub] found.
type ScrubReport struct {
	Damaged []Damage // ranges of the file, in its order; Meta where no record is touched
	Mended  int      // of them, written anew
	Lost    int      // of them, beyond the parity: their records cannot be read
}

// Scrub verifies every byte of a cold file: copies of header and directory, blocks, parity. With
// mend it writes what is damaged anew in place and syncs. Readers may go on beside it. pace is as in
// [WriteCold]. The errors are those of [Open], of pace and of the disk.
func Scrub(fsys disk.FS, path string, mend bool, pace func(bytes int) error) (ScrubReport, error) {
	return ScrubReport{}, errUnfinished
}
