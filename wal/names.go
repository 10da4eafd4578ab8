package wal

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The files of a log's directory. Anything else in it is left alone.
const (
	segmentSuffix  = ".seg"   // a segment, named by its first sequence number
	spareSuffix    = ".spare" // a segment prepared ahead; started under this name, renamed soon after
	itemSuffix     = ".item"  // the body of a large item, named by the item's sequence number
	partSuffix     = ".part"  // a body on its way in, named by its upload's number
	offsetSuffix   = ".off"   // what a consumer has taken
	rewriteSuffix  = ".new"   // an offset file about to replace its namesake
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
	segments, items, parts, spares []entry  // by number
	offsets                        []string // consumer names
	rewrites                       []string // consumer names with an unfinished rewrite
}

// entry is a file named by a number.
type entry struct {
	n    uint64
	size int64
	path string // of a segment that has to do with another name than its own
}

func (l *Log) list() (d listing, err error) {
	entries, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return d, err
	}
	for _, e := range entries {
		if e.Dir {
			continue
		}
		if n, ok := parseNumbered(e.Name, segmentSuffix); ok {
			d.segments = append(d.segments, entry{n: n, size: e.Size})
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
