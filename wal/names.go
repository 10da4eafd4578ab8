package wal

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/darner/darner/segment/disk"
)

// The files of a log's directory. Anything else in it is left alone.
const (
	segmentSuffix  = ".seg"   // a segment, named by its first sequence number
	coldSuffix     = ".cold"  // one or several segments in the cold form, see coldName
	spareSuffix    = ".spare" // a segment prepared ahead; started under this name, renamed soon after
	itemSuffix     = ".item"  // the body of a large item, named by the item's sequence number
	partSuffix     = ".part"  // a body on its way in, named by its upload's number
	offsetSuffix   = ".off"   // what a consumer has taken
	rewriteSuffix  = ".new"   // an offset file or a cold segment about to take the name before it
	consumerPrefix = "consumer"
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

// coldName is <first>.cold for the cold form of one segment, and <first>-<through>.cold for that of
// several in a row, the last of which began at through. So the names alone tell which files a cold
// one replaces, and a crash between making it and removing them does no harm.
func coldName(first, through uint64) string {
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

// offsetName is consumer.off for the log's own consumer "", consumer+audit.off for "audit".
func offsetName(consumer string) string {
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
	return consumer, ok && validConsumer(consumer) && consumer != ""
}

// validConsumer keeps a consumer's name from reaching outside the directory.
func validConsumer(name string) bool {
	return len(name) <= 200 && !strings.ContainsAny(name, "/\\\x00") && !strings.HasPrefix(name, ".")
}

// listing is a log's directory sorted into kinds.
type listing struct {
	segments, items, parts, spares []entry  // by number; among the segments are the cold ones
	unfinished                     []string // names of cold segments that were not finished
	offsets                        []string // consumer names
	rewrites                       []string // consumer names with an unfinished rewrite
	blocks                         int64    // bytes of disk of all of them, offset files included
}

// entry is a file named by a number.
type entry struct {
	n    uint64
	size int64
	path string // of a segment that has to do with another name than its own

	cold    bool   // a segment in the cold form
	through uint64 // first number of the last segment that a cold one stands for
}

// supersedes reports that a has all that b had: a cold segment was written from it.
func (a entry) supersedes(b entry) bool {
	if a.n == b.n {
		return a.cold && (!b.cold || a.through > b.through)
	}
	return a.cold && a.n < b.n && b.n <= a.through
}

func (l *Log) list() (listing, error) { return listDir(l.fs, l.dir) }

func listDir(fsys disk.FS, dir string) (d listing, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return d, err
	}
	for _, e := range entries {
		if e.Dir {
			continue
		}
		d.blocks += e.Allocated
		if n, ok := parseNumbered(e.Name, segmentSuffix); ok {
			d.segments = append(d.segments, entry{n: n, size: e.Size})
		} else if n, through, ok := parseCold(e.Name); ok {
			d.segments = append(d.segments, entry{n: n, size: e.Size, path: filepath.Join(dir, e.Name), cold: true, through: through})
		} else if _, _, ok := parseCold(strings.TrimSuffix(e.Name, rewriteSuffix)); ok {
			d.unfinished = append(d.unfinished, e.Name)
		} else if n, ok := parseNumbered(e.Name, itemSuffix); ok {
			d.items = append(d.items, entry{n: n, size: e.Size})
		} else if n, ok := parseNumbered(e.Name, partSuffix); ok {
			d.parts = append(d.parts, entry{n: n, size: e.Size})
		} else if n, ok := parseNumbered(e.Name, spareSuffix); ok {
			d.spares = append(d.spares, entry{n: n, size: e.Size})
		} else if name, ok := parseOffsetName(e.Name); ok {
			d.offsets = append(d.offsets, name)
		} else if name, ok := parseOffsetName(strings.TrimSuffix(e.Name, rewriteSuffix)); ok {
			d.rewrites = append(d.rewrites, name)
		}
	}
	return d, nil
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }
