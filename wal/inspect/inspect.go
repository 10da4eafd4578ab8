// Package inspect is a log offline: what tools read and mend of its directory while nobody has it open. Every
// file is taken for what it is, and each is judged by the code that recovery and readers use. No more than one
// file's state is held at a time.
//
// An Inspection changes nothing. What does is named so: WriteOffsets, Rewind.Do, Scrub where it is to mend, and
// SegmentView.WriteAnew. They leave what was before or what is to be, wherever they are killed.
package inspect

import (
	"iter"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/identity"
)

// FileKind is what a file of a log's directory is for, as its name tells.
type FileKind = files.Kind

const (
	SegmentFile    = files.Segment    // records
	SpareFile      = files.Spare      // a segment prepared ahead; when it has a header it is one that was about to get its name
	BodyFile       = files.Body       // the body of a large item
	PartFile       = files.Part       // a body on its way in, or about to get its name
	OffsetFile     = files.Offset     // what a consumer has taken
	RewriteFile    = files.Rewrite    // an offset file about to replace its namesake
	MendFile       = files.Mend       // left by a repair that was interrupted: to be removed
	UndoFile       = files.Undo       // an offset file that a rewind replaced, kept for an undo
	MovingFile     = files.Moving     // a segment on its way to its own name, left by a repair that was interrupted
	UnfinishedFile = files.Unfinished // a cold segment that was being written
	ForeignFile    = files.Foreign    // none of the log's
)

// MendSuffix ends the names of files that a repair prepares under the log's eyes. The log ignores
// them.
const MendSuffix = files.MendSuffix

// FileInfo is one file of a log's directory. It tells whose offset file it is, and whether the log deletes
// another one because of it.
type FileInfo = files.Info

// Inspection is a log's directory as it stood when Open read it. It can be used while nobody
// writes to the log.
type Inspection struct {
	Dir    string
	Log    uint64   // identity of the log that most of its files are of; 0 when none tells
	Nested []string // names of directories within
	fs     disk.FS
	list   files.Listing
}

// Open lists a log's directory.
func Open(fsys disk.FS, dir string) (*Inspection, error) {
	list, err := files.List(fsys, dir)
	if err != nil {
		return nil, err
	}
	in := &Inspection{Dir: dir, Nested: list.Nested, fs: fsys, list: list}
	if id, _, err := identity.Of(fsys, dir, &list); err == nil { // what the disk does not give is for others to tell of
		in.Log = id
	}
	return in, nil
}

// Foreign reports whether a file that says it is of some log is of another one than this.
func (in *Inspection) Foreign(log uint64) bool { return identity.Foreign(log, in.Log) }

// KindOf tells what a file of this name is in a log's directory.
func KindOf(name string) FileKind { return Classify(name).Kind }

// Classify tells by its name what a file in a log's directory is, and its numbers.
func Classify(name string) FileInfo { return files.Classify(name) }

// Files returns the files of one kind, ordered by number or name.
func (in *Inspection) Files(kind FileKind) []FileInfo { return in.list.Of[kind] }

// All goes through all files, kind by kind.
func (in *Inspection) All() iter.Seq[FileInfo] {
	return func(yield func(FileInfo) bool) {
		for _, list := range in.list.Of {
			for _, f := range list {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// Path is a file's path.
func (in *Inspection) Path(f FileInfo) string { return filepath.Join(in.Dir, f.Name) }

// SegmentName is the name of the segment that begins with a sequence number.
func SegmentName(first uint64) string { return files.SegmentName(first) }

// MovingName is what a segment is called by a repair until its own name is free. The log ignores it.
func MovingName(name string) string { return files.MovingName(name) }

// OffsetName is the name of the file that holds what a consumer has taken.
func OffsetName(consumer string) string { return files.OffsetName(consumer) }

// BodyName is the name of the file that holds a large item's body.
func BodyName(seq uint64) string { return files.BodyName(seq) }
