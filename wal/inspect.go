package wal

// A view of a log's directory for tools that examine it offline: every file by what it is, each
// judged by the code that recovery and readers use. Nothing here changes anything, and no more than
// one file's state is held at a time.

import (
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"github.com/darner/darner/segment"
	"github.com/darner/darner/segment/disk"
)

// FileKind is what a file of a log's directory is for, as its name tells.
type FileKind uint8

const (
	SegmentFile FileKind = iota // records
	SpareFile                   // a segment prepared ahead; when it has a header it is one that was about to get its name
	BodyFile                    // the body of a large item
	PartFile                    // a body on its way in, or about to get its name
	OffsetFile                  // what a consumer has taken
	RewriteFile                 // an offset file about to replace its namesake
	MendFile                    // left by a repair that was interrupted: to be removed
	ForeignFile                 // none of the log's
)

// MendSuffix ends the names of files that a repair prepares under the log's eyes. The log ignores
// them.
const MendSuffix = ".mend"

// FileInfo is one file of a log's directory.
type FileInfo struct {
	Name   string // without the directory
	Number uint64 // first sequence number of a segment, number of a spare, an item or an upload
	Size   int64  // bytes
	Kind   FileKind
}

// Consumer is whose offset file, or rewrite of one, this is.
func (f FileInfo) Consumer() string {
	name, _ := parseOffsetName(strings.TrimSuffix(f.Name, rewriteSuffix))
	return name
}

// Inspection is a log's directory as it stood when Inspect read it. It can be used while nobody
// writes to the log.
type Inspection struct {
	Dir    string
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
		kind, n := classify(e.Name)
		in.files[kind] = append(in.files[kind], FileInfo{e.Name, n, e.Size, kind})
	}
	return in, nil
}

// KindOf tells what a file of this name is in a log's directory.
func KindOf(name string) FileKind {
	kind, _ := classify(name)
	return kind
}

func classify(name string) (FileKind, uint64) {
	for _, k := range []struct {
		suffix string
		kind   FileKind
	}{{segmentSuffix, SegmentFile}, {itemSuffix, BodyFile}, {partSuffix, PartFile}, {spareSuffix, SpareFile}} {
		if n, ok := parseNumbered(name, k.suffix); ok {
			return k.kind, n
		}
	}
	if _, ok := parseOffsetName(name); ok {
		return OffsetFile, 0
	}
	if base, ok := strings.CutSuffix(name, rewriteSuffix); ok {
		if _, ok := parseOffsetName(base); ok {
			return RewriteFile, 0
		}
	}
	if base, ok := strings.CutSuffix(name, MendSuffix); ok {
		if kind, _ := classify(base); kind != ForeignFile && kind != MendFile {
			return MendFile, 0
		}
	}
	return ForeignFile, 0
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

// OffsetName is the name of the file that holds what a consumer has taken.
func OffsetName(consumer string) string { return offsetName(consumer) }

// BodyName is the name of the file that holds a large item's body.
func BodyName(seq uint64) string { return numbered(seq, itemSuffix) }

// SegmentView is one segment opened for examining. Close it.
type SegmentView struct {
	seg *segment.Segment

	// Found is what opening noticed: copies of the header, the index, the tail; of a segment that
	// is not sealed also the ranges that Steps comes to.
	Found []segment.Damage
}

// OpenSegment opens a segment or a spare. Errors are those of [segment.Open]. That its header says the
// number in its name is for the caller to check: recovery takes one that does not for no segment.
func (in *Inspection) OpenSegment(f FileInfo) (*SegmentView, error) {
	seg, found, err := segment.Open(in.fs, in.Path(f), segment.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return &SegmentView{seg, found}, nil
}

// Header is the segment's header.
func (v *SegmentView) Header() segment.Header { return v.seg.Header() }

// Totals sums up its records: as its footer says if it is sealed, else those that are valid.
func (v *SegmentView) Totals() segment.Totals { return v.seg.Totals() }

// Sealed reports whether it ends in a sound footer.
func (v *SegmentView) Sealed() bool { return v.seg.Sealed() }

// Tail is where its records end.
func (v *SegmentView) Tail() uint32 { return v.seg.Tail() }

// Path is the file's path.
func (v *SegmentView) Path() string { return v.seg.Path() }

// Close ends the examination. No payload of a record may be used afterwards.
func (v *SegmentView) Close() error { return v.seg.Close() }

// Step is one stretch of a segment.
type Step struct {
	From, To uint32
	Err      error          // nil for a record; segment.ErrDamaged: no valid record is in it; segment.ErrFault: the disk does not give it
	Record   segment.Record // its payload aliases the map: read it under [segment.Guard], before Close
}

// Steps goes through what stands between header and tail, in order, as a consumer does: records
// with rising sequence numbers, and the ranges between them that hold none. A Step is valid until
// the next.
func (v *SegmentView) Steps() iter.Seq[*Step] {
	return func(yield func(*Step) bool) {
		s := new(Step)
		least := v.Header().First
		for at := uint32(segment.HeaderSize); at < v.Tail(); at = s.To {
			r, next, err := v.seg.At(at)
			switch {
			case err != nil:
				*s = Step{From: at, To: nextValid(v.seg, at), Err: err}
			case r.Seq < least:
				*s = Step{From: at, To: next, Err: fmt.Errorf("item %d where at least %d belongs: %w", r.Seq, least, segment.ErrDamaged)}
			default:
				*s = Step{From: at, To: next, Record: r}
				least = r.Seq + 1
			}
			if !yield(s) {
				return
			}
		}
	}
}
