// Package inspect is a log offline: what tools read and mend in its directory while nobody has it
// open. The code that recovery and readers use judges each file. No more than one file's state is
// held at a time.
//
// An Inspection changes nothing, except by WriteOffsets, MendBody, Rewind.Do, Scrub with mend,
// and SegmentView.CopyReadable. If one of these is killed, the old state or the new one is there.
package inspect

import (
	"errors"
	"io/fs"
	"iter"
	"math"
	"path/filepath"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/wal/internal/files"
	"github.com/darner/darner/wal/internal/identity"
	"github.com/darner/darner/wal/internal/settle"
)

// FileKind is what a file in a log's directory is for, according to its name.
type FileKind = files.Kind

const (
	SegmentFile    = files.Segment    // records
	SpareFile      = files.Spare      // a segment prepared ahead, or one that was being renamed
	BodyFile       = files.Body       // the body of a large item
	PartFile       = files.Part       // a body that was being uploaded or renamed
	OffsetFile     = files.Offset     // what a consumer has taken
	RewriteFile    = files.Rewrite    // an offset file about to replace its namesake
	MendFile       = files.Mend       // left by a repair that was interrupted; to be removed
	UndoFile       = files.Undo       // what was taken before a rewind, kept for an undo
	MovingFile     = files.Moving     // a segment under a name of its own until a repair is done
	UnfinishedFile = files.Unfinished // a cold segment that was being written
	ForeignFile    = files.Foreign    // not one of the log's
)

// MendSuffix ends the names of files that a repair prepares in the log's directory. The log ignores
// them.
const MendSuffix = files.MendSuffix

// FileInfo is one file in a log's directory. It knows whose offset file it is, and whether the log
// deletes another file because of it.
type FileInfo = files.Info

// Inspection is a log's directory as it was when Open read it. Nobody may write to the log
// meanwhile.
type Inspection struct {
	Dir     string
	Log     uint64   // identity of the log that most of its files belong to; 0 if none says
	Nested  []string // names of directories in it
	fs      disk.FS
	list    files.Listing
	durable uint64        // see settle.Durable
	version *fs.PathError // an ErrVersion of one of the files
}

// Open lists a log's directory.
func Open(fsys disk.FS, dir string) (*Inspection, error) {
	list, err := files.List(fsys, dir)
	if err != nil {
		return nil, err
	}
	in := &Inspection{Dir: dir, Nested: list.Nested, fs: fsys, list: list}
	// Whoever reads the files will meet and report errors of the disk.
	id, _, err := identity.Of(fsys, dir, &list)
	if err == nil {
		in.Log = id
	} else if errors.Is(err, ErrVersion) {
		errors.As(err, &in.version)
	}
	if in.durable, err = settle.Durable(fsys, dir, &list, in.Log); err != nil {
		in.durable = math.MaxUint64
	}
	return in, nil
}

// CheckVersion returns an ErrVersion for a file of another format, nil if there is none. It looks
// at one or more of each kind, as a log does before it is opened.
func (in *Inspection) CheckVersion() *fs.PathError { return in.version }

// Foreign reports whether a log's identity, as found in a file, is that of another log than this
// one.
func (in *Inspection) Foreign(log uint64) bool { return identity.Foreign(log, in.Log) }

// KindOf returns the kind of a file in a log's directory, according to its name.
func KindOf(name string) FileKind { return Classify(name).Kind }

// Classify returns what a file in a log's directory is, and its numbers, according to its name.
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

// Path returns the path of a file.
func (in *Inspection) Path(f FileInfo) string { return filepath.Join(in.Dir, f.Name) }

// SegmentName returns the name of the segment that begins with a sequence number.
func SegmentName(first uint64) string { return files.SegmentName(first) }

// MovingName returns the name that a repair gives a segment until its own name is free. The log
// ignores it.
func MovingName(name string) string { return files.MovingName(name) }

// OffsetName returns the name of the file that holds what a consumer has taken.
func OffsetName(consumer string) string { return files.OffsetName(consumer) }

// BodyName returns the name of the file that holds a large item's body.
func BodyName(seq uint64) string { return files.BodyName(seq) }
