package wal

// A view of a log's directory for tools that examine it offline: every file by what it is, each
// judged by the code that recovery and readers use. Nothing here changes anything, and no more than
// one file's state is held at a time.

import (
	"iter"
	"path/filepath"
	"strings"

	"github.com/darner/darner/segment/disk"
)

// FileKind is what a file of a log's directory is for, as its name tells.
type FileKind uint8

const (
	SegmentFile    FileKind = iota // records
	SpareFile                      // a segment prepared ahead; when it has a header it is one that was about to get its name
	BodyFile                       // the body of a large item
	PartFile                       // a body on its way in, or about to get its name
	OffsetFile                     // what a consumer has taken
	RewriteFile                    // an offset file about to replace its namesake
	MendFile                       // left by a repair that was interrupted: to be removed
	UndoFile                       // an offset file that a rewind replaced, kept for an undo
	MovingFile                     // a segment on its way to its own name, left by a repair that was interrupted
	UnfinishedFile                 // a cold segment that was being written
	ForeignFile                    // none of the log's
)

// MendSuffix ends the names of files that a repair prepares under the log's eyes. The log ignores
// them.
const MendSuffix = ".mend"

const movingSuffix = ".mend-rename"

// FileInfo is one file of a log's directory.
type FileInfo struct {
	Name   string // without the directory
	Number uint64 // first sequence number of a segment, number of a spare, an item or an upload
	Size   int64  // bytes
	Kind   FileKind

	Cold    bool   // of a segment: its name is that of a cold one
	Through uint64 // first number of the last segment that a cold one stands for: Number, unless of several
}

// Supersedes reports that a cold segment was written from another one, by their names: the server
// deletes that when it opens the log.
func (f FileInfo) Supersedes(other FileInfo) bool { return f.entry().supersedes(other.entry()) }

func (f FileInfo) entry() entry { return entry{n: f.Number, cold: f.Cold, through: f.Through} }

// Consumer is whose offset file, or rewrite of one, this is.
func (f FileInfo) Consumer() string {
	name, _ := parseOffsetName(strings.TrimSuffix(f.Name, rewriteSuffix))
	return name
}

// Inspection is a log's directory as it stood when Inspect read it. It can be used while nobody
// writes to the log.
type Inspection struct {
	Dir    string
	Log    uint64 // identity of the log that most of its files are of; 0 when none tells
	fs     disk.FS
	files  map[FileKind][]FileInfo
	Nested []string // names of directories within
}

// Inspect lists a log's directory.
func Inspect(fsys disk.FS, dir string) (*Inspection, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	in := &Inspection{Dir: dir, fs: fsys, files: make(map[FileKind][]FileInfo)}
	for _, e := range entries {
		if e.Dir {
			in.Nested = append(in.Nested, e.Name)
			continue
		}
		f := Classify(e.Name)
		f.Size = e.Size
		in.files[f.Kind] = append(in.files[f.Kind], f)
	}
	in.Log = in.identify()
	return in, nil
}

// identify judges as recovery does. What the disk does not give is for others to tell of.
func (in *Inspection) identify() uint64 {
	var offsets, segments []string
	for _, f := range in.files[OffsetFile] {
		offsets = append(offsets, in.Path(f))
	}
	for _, kind := range []FileKind{SegmentFile, SpareFile} {
		for _, f := range in.files[kind] {
			segments = append(segments, in.Path(f))
		}
	}
	id, _, err := identify(in.fs, offsets, segments)
	if err != nil {
		return 0
	}
	return id
}

// Foreign reports whether a file that says it is of some log is of another one than this.
func (in *Inspection) Foreign(log uint64) bool { return foreign(log, in.Log) }

// KindOf tells what a file of this name is in a log's directory.
func KindOf(name string) FileKind { return Classify(name).Kind }

// Classify tells by its name what a file in a log's directory is, and its numbers.
func Classify(name string) FileInfo {
	f := classify(name)
	f.Name = name
	return f
}

func classify(name string) FileInfo {
	for _, k := range []struct {
		suffix string
		kind   FileKind
	}{{itemSuffix, BodyFile}, {partSuffix, PartFile}, {spareSuffix, SpareFile}} {
		if n, ok := parseNumbered(name, k.suffix); ok {
			return FileInfo{Kind: k.kind, Number: n}
		}
	}
	if f, ok := classifySegment(name); ok {
		return f
	}
	if _, ok := parseOffsetName(name); ok {
		return FileInfo{Kind: OffsetFile}
	}
	for _, k := range []struct {
		suffix string
		kind   func(base FileInfo) FileKind
	}{{rewriteSuffix, rewriteOf}, {MendSuffix, mendOf}, {UndoSuffix, undoOf}} {
		if base, ok := strings.CutSuffix(name, k.suffix); ok {
			return FileInfo{Kind: k.kind(classify(base))}
		}
	}
	return FileInfo{Kind: ForeignFile}
}

// rewriteOf is what a file is whose name is that of another one and rewriteSuffix.
func rewriteOf(base FileInfo) FileKind {
	switch {
	case base.Kind == OffsetFile:
		return RewriteFile
	case base.Kind == SegmentFile && base.Cold:
		return UnfinishedFile
	}
	return ForeignFile
}

func mendOf(base FileInfo) FileKind {
	if base.Kind == ForeignFile || base.Kind == MendFile {
		return ForeignFile
	}
	return MendFile
}

func undoOf(base FileInfo) FileKind {
	if base.Kind == OffsetFile {
		return UndoFile
	}
	return ForeignFile
}

// classifySegment is classify for segments, and for those on their way to their names.
func classifySegment(name string) (f FileInfo, ok bool) {
	base, moving := strings.CutSuffix(name, movingSuffix)
	if f.Kind = SegmentFile; moving {
		f.Kind = MovingFile
	}
	if f.Number, ok = parseNumbered(base, segmentSuffix); ok {
		f.Through = f.Number
		return f, true
	}
	f.Number, f.Through, f.Cold = parseCold(base)
	return f, f.Cold
}

// Files returns the files of one kind, ordered by number or name.
func (in *Inspection) Files(kind FileKind) []FileInfo { return in.files[kind] }

// All goes through all files, kind by kind.
func (in *Inspection) All() iter.Seq[FileInfo] {
	return func(yield func(FileInfo) bool) {
		for kind := SegmentFile; kind <= ForeignFile; kind++ {
			for _, f := range in.files[kind] {
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
func SegmentName(first uint64) string { return numbered(first, segmentSuffix) }

// MovingName is what a segment is called by a repair until its own name is free. The log ignores it.
func MovingName(name string) string { return name + movingSuffix }

// OffsetName is the name of the file that holds what a consumer has taken.
func OffsetName(consumer string) string { return offsetName(consumer) }

// BodyName is the name of the file that holds a large item's body.
func BodyName(seq uint64) string { return numbered(seq, itemSuffix) }
