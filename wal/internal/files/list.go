package files

import (
	"strings"

	"github.com/darner/darner/segment/disk"
)

// Kind is what a file in a log's directory is for, according to its name.
type Kind uint8

const (
	Segment    Kind = iota // records
	Spare                  // a segment prepared ahead; one with a header was being renamed
	Body                   // the body of a large item
	Part                   // a body that was being uploaded or renamed
	Offset                 // what a consumer has taken
	Rewrite                // an offset file about to replace its namesake
	Mend                   // left by a repair that was interrupted; to be removed
	Undo                   // what was taken before a rewind, kept for an undo
	Moving                 // a segment under a name of its own until a repair is done
	Unfinished             // a cold segment that was being written
	Foreign                // not one of the log's

	kinds
)

// Info is one file of a log's directory.
type Info struct {
	Name   string // without the directory
	Number uint64 // a segment's first sequence number; the number of a spare, an item or an upload
	Size   int64  // bytes
	Kind   Kind

	Cold    bool   // a segment whose name is that of a cold one
	Through uint64 // first number of the last segment that a cold one replaces; else Number
}

// Consumer returns the consumer that an offset file, or a rewrite of one, belongs to.
func (f Info) Consumer() string {
	name, _ := parseOffsetName(strings.TrimSuffix(f.Name, RewriteSuffix))
	return name
}

// Listing is the files of a log's directory by kind.
type Listing struct {
	Of     [kinds][]Info // each ordered by number or name
	Nested []string      // names of directories
	Blocks int64         // bytes of disk that all files take
}

// List reads a log's directory.
func List(fsys disk.FS, dir string) (d Listing, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return d, err
	}
	for _, e := range entries {
		if e.Dir {
			d.Nested = append(d.Nested, e.Name)
			continue
		}
		f := Classify(e.Name)
		f.Size = e.Size
		d.Blocks += e.Allocated
		d.Of[f.Kind] = append(d.Of[f.Kind], f)
	}
	return d, nil
}

// Classify returns what a file in a log's directory is, and its numbers, according to its name.
func Classify(name string) Info {
	f := classify(name)
	f.Name = name
	return f
}

func classify(name string) Info {
	if f, ok := classifySegment(name); ok {
		return f
	}
	for _, k := range []struct {
		suffix string
		kind   Kind
	}{{itemSuffix, Body}, {partSuffix, Part}, {spareSuffix, Spare}} {
		if n, ok := parseNumbered(name, k.suffix); ok {
			return Info{Kind: k.kind, Number: n}
		}
	}
	if _, ok := parseOffsetName(name); ok {
		return Info{Kind: Offset}
	}
	for _, k := range []struct {
		suffix string
		kind   func(base Info) Kind
	}{{RewriteSuffix, rewriteOf}, {MendSuffix, mendOf}, {UndoSuffix, undoOf}} {
		if base, ok := strings.CutSuffix(name, k.suffix); ok {
			return Info{Kind: k.kind(classify(base))}
		}
	}
	return Info{Kind: Foreign}
}

// rewriteOf returns the kind of a file whose name is that of another one and RewriteSuffix.
func rewriteOf(base Info) Kind {
	switch {
	case base.Kind == Offset:
		return Rewrite
	case base.Kind == Segment && base.Cold:
		return Unfinished
	}
	return Foreign
}

func mendOf(base Info) Kind {
	if base.Kind == Foreign || base.Kind == Mend {
		return Foreign
	}
	return Mend
}

func undoOf(base Info) Kind {
	if base.Kind == Offset {
		return Undo
	}
	return Foreign
}

// classifySegment is classify for segments, and for those that a repair keeps under other names.
func classifySegment(name string) (f Info, ok bool) {
	base, moving := strings.CutSuffix(name, movingSuffix)
	if f.Kind = Segment; moving {
		f.Kind = Moving
	}
	if f.Number, ok = parseNumbered(base, segmentSuffix); ok {
		f.Through = f.Number
		return f, true
	}
	f.Number, f.Through, f.Cold = parseCold(base)
	return f, f.Cold
}
