package items

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Point is a place in a queue: a sequence number or a time. The zero Point is the beginning.
type Point struct {
	Seq  uint64
	Time int64 // Unix ms, when it is not 0
}

// layouts of a time. Without a zone it is local.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999", "2006-01-02T15:04", "2006-01-02 15:04:05.999", "2006-01-02 15:04", "2006-01-02"}

// ParsePoint reads a sequence number, a time, a duration before now, or oldest.
func ParsePoint(s string, now time.Time) (Point, error) {
	if s == "oldest" {
		return Point{}, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return Point{Seq: n}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return Point{Time: now.Add(-d).UnixMilli()}, nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return Point{Time: t.UnixMilli()}, nil
		}
	}
	return Point{}, fmt.Errorf("%q is no place in a queue: give a sequence number, a time like 2026-01-31T15:04:05, a duration like 90m for so long ago, or oldest", s)
}

// reached reports whether a record is at the point or behind it. Of damage only the number is known.
func (p Point) reached(r *Record) bool {
	if p.Time != 0 {
		return r.State != Damaged && r.Enqueued >= p.Time
	}
	return max(r.Seq, r.Last) >= p.Seq
}

// nowhere is behind all items.
const nowhere = math.MaxUint64
