package wal

// A view of a log's directory for tools that examine it offline: every file by what it is, each
// judged by the code that recovery and readers use. Nothing here changes anything, and no more than
// one file's state is held at a time.

import (
	"errors"
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

// BodyName is the name of the file that holds a large item's body.
func BodyName(seq uint64) string { return numbered(seq, itemSuffix) }

// SegmentView is one segment opened for examining. Close it.
type SegmentView struct {
	*segment.Segment
	Found []segment.Damage // what opening noticed: copies of the header, the index, ranges and the tail of one that is not sealed
}

// OpenSegment opens a segment or a spare. Errors are those of [segment.Open], and ErrNotSegment also
// for a segment that says it begins with another number than its name does.
func (in *Inspection) OpenSegment(f FileInfo) (*SegmentView, error) {
	seg, found, err := segment.Open(in.fs, in.Path(f), segment.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return &SegmentView{seg, found}, nil
}

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
			r, next, err := v.At(at)
			switch {
			case err != nil:
				*s = Step{From: at, To: nextValid(v.Segment, at), Err: err}
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

// LargeItem tells what the record of a large item says: the size of the body in bytes, and the
// number of its upload. ok is false when it is no such record.
func LargeItem(r *segment.Record) (size int64, upload uint64, ok bool) {
	if r.Kind != segment.KindLarge || len(r.Payload) != largePayload {
		return 0, 0, false
	}
	return largeSize(r.Payload), largeUpload(r.Payload), true
}

// BodySize is the size of the file that holds a body of so many bytes.
func BodySize(size int64) int64 { return bodyBytes(size) }

// BodyView is what a body's file holds.
type BodyView struct {
	Size   int64  // bytes of the body, as its header says
	Upload uint64 // the number of its upload
	Damage []BodyRange
}

// BodyRange is a range of a body's file, chunks that do not verify.
type BodyRange struct {
	From, To int64 // bytes of the file
	Fault    error // the disk did not give them
}

// OpenBody streams a body, verified. A damaged header is ErrDamaged.
func (in *Inspection) OpenBody(f FileInfo) (*Reader, error) { return openBody(in.fs, in.Path(f)) }

// CheckBody reads a whole body. A damaged header, without which nothing can be verified, is
// ErrDamaged, a newer format ErrVersion. progress, if any, is told of bytes read.
func (in *Inspection) CheckBody(f FileInfo, progress func(n int64)) (v BodyView, err error) {
	r, err := in.OpenBody(f)
	if err != nil {
		return v, err
	}
	defer r.Close()
	v.Size, v.Upload = r.size, r.upload
	for {
		from := chunkOffset(r.next)
		err := r.fill()
		if errors.Is(err, ErrDamaged) {
			v.note(from, chunkOffset(r.next), f.Size, err)
			r.next++
		} else if err != nil {
			break
		}
	}
	return v, nil
}
