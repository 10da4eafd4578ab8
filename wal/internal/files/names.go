// Package files knows the files of a log's directory: what their names mean, and which of them
// replace which others. The log ignores anything else in the directory.
package files

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	segmentSuffix  = ".seg"   // a segment, named by its first sequence number
	coldSuffix     = ".cold"  // one or several segments in the cold form, see ColdName
	spareSuffix    = ".spare" // a segment prepared ahead; started under this name, then renamed
	itemSuffix     = ".item"  // the body of a large item, named by the item's sequence number
	partSuffix     = ".part"  // a body that is being uploaded, named by the upload's number
	offsetSuffix   = ".off"   // what a consumer has taken
	consumerPrefix = "consumer"

	// RewriteSuffix ends the name of an offset file or a cold segment that will take the name
	// before it.
	RewriteSuffix = ".new"

	// MendSuffix ends the names of files that a repair prepares in the log's directory. The log
	// ignores them.
	MendSuffix = ".mend"

	// UndoSuffix ends the name of an offset file with what was taken before the rewinds. The log
	// ignores it.
	UndoSuffix = ".undo"

	movingSuffix = MendSuffix + "-rename"
)

func numbered(n uint64, suffix string) string { return fmt.Sprintf("%020d%s", n, suffix) }

func parseNumbered(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// SegmentName returns the name of the segment that begins with a sequence number.
func SegmentName(first uint64) string { return numbered(first, segmentSuffix) }

// SpareName returns the name of a segment prepared ahead. Spares are numbered.
func SpareName(n uint64) string { return numbered(n, spareSuffix) }

// BodyName returns the name of the file that holds a large item's body.
func BodyName(seq uint64) string { return numbered(seq, itemSuffix) }

// PartName returns the name of a body that is being uploaded.
func PartName(upload uint64) string { return numbered(upload, partSuffix) }

// MovingName returns the name that a repair gives a segment until its own name is free. The log
// ignores it.
func MovingName(name string) string { return name + movingSuffix }

// ColdName returns <first>.cold for the cold form of one segment, and <first>-<through>.cold for
// that of several in a row, the last of which began at through. So the names alone say which files
// a cold one replaces, and a crash between making it and removing them does no harm.
func ColdName(first, through uint64) string {
	if through == first {
		return numbered(first, coldSuffix)
	}
	return fmt.Sprintf("%020d-%020d%s", first, through, coldSuffix)
}

func parseCold(name string) (first, through uint64, ok bool) {
	if first, ok = parseNumbered(name, coldSuffix); ok {
		return first, first, true
	}
	head, rest, ok := strings.Cut(name, "-")
	if !ok {
		return 0, 0, false
	}
	first, okFirst := parseNumbered(head, "")
	through, okThrough := parseNumbered(rest, coldSuffix)
	return first, through, okFirst && okThrough && through > first
}

// OffsetName returns consumer.off for the log's own consumer "", and consumer+audit.off for
// "audit".
func OffsetName(consumer string) string {
	if consumer == "" {
		return consumerPrefix + offsetSuffix
	}
	return consumerPrefix + "+" + consumer + offsetSuffix
}

func parseOffsetName(name string) (consumer string, ok bool) {
	rest, ok := strings.CutPrefix(name, consumerPrefix)
	if !ok {
		return "", false
	}
	rest, ok = strings.CutSuffix(rest, offsetSuffix)
	if !ok {
		return "", false
	}
	if rest == "" {
		return "", true
	}
	consumer, ok = strings.CutPrefix(rest, "+")
	return consumer, ok && ValidConsumer(consumer) && consumer != ""
}

// ValidConsumer reports whether a consumer's name can be part of a file's name.
func ValidConsumer(name string) bool {
	return len(name) <= 200 && !strings.ContainsAny(name, "/\\\x00") && !strings.HasPrefix(name, ".")
}
