package segment

// What can be wrong with a segment, as values for errors.Is. Errors of this package wrap one of
// them, or an error of the disk, and name the path of the file.

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrFull: the record does not fit in the rest of the capacity. Start the next segment.
	ErrFull = errors.New("segment is full")

	// ErrUnallocated: the record would reach into blocks that are not allocated yet. Call Extend,
	// then append again.
	ErrUnallocated = errors.New("no disk blocks allocated for the record")

	// ErrReadOnly: the segment is blank, sealed or opened for reading.
	ErrReadOnly = errors.New("segment does not take records")

	// ErrRecord: the record's sequence number does not rise, its kind is unknown, or its note is
	// longer than [MaxNote]. It could never be read again.
	ErrRecord = errors.New("record cannot be stored")

	// ErrDamaged: there is no valid record at that offset.
	ErrDamaged = errors.New("record is damaged")

	// ErrBlank: the file was prepared, but its header was never written. It holds nothing and can
	// be removed.
	ErrBlank = errors.New("segment is blank")

	// ErrNotSegment: the file is something else.
	ErrNotSegment = errors.New("not a segment")

	// ErrHeaderLost: the file is a segment, but both copies of its header and its footer are
	// damaged. Records cannot be verified without them.
	ErrHeaderLost = errors.New("all copies of the segment's header are damaged")

	// ErrVersion: the file was written in another format, see [OtherVersion].
	ErrVersion = errors.New("is of a format version that this program does not read")

	// ErrForeign: the segment is part of another log.
	ErrForeign = errors.New("segment belongs to another log")

	// ErrFault: a page of the map could not be read or written, because the disk failed or somebody
	// cut the file short.
	ErrFault = errors.New("mapped page cannot be accessed")
)

// Unreadable reports whether an error of opening a segment means that nothing of it can be read,
// now or later. A transient shortage of descriptors or memory does not mean that.
func Unreadable(err error) bool {
	return errors.Is(err, ErrNotSegment) || errors.Is(err, ErrHeaderLost) ||
		errors.Is(err, ErrForeign) || errors.Is(err, ErrBlank) || errors.Is(err, fs.ErrNotExist)
}

func (s *Segment) wrap(what string, err error) error {
	return fmt.Errorf("segment %s: %s: %w", s.path, what, err)
}

func (s *Segment) wrapAt(off uint32, err error) error {
	return fmt.Errorf("segment %s: byte %d: %w", s.path, off, err)
}
