package items

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Point is a place in a queue: a sequence number or a time. The zero Point is the oldest item.
type Point struct {
	Seq  uint64
	Time int64 // Unix ms; 0: Seq counts
}

// layouts lists the formats of a time. Without a zone it is local time.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999", "2006-01-02T15:04",
	"2006-01-02 15:04:05.999", "2006-01-02 15:04", "2006-01-02",
}

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
	return Point{}, fmt.Errorf("%q is not a place in a queue: give a sequence number, a time "+
		"like 2026-01-31T15:04:05, a duration before now like 90m, or oldest", s)
}

// reached reports whether a record is at the point or after it. Damage has only a number.
func (p Point) reached(r *Record) bool {
	if p.Time != 0 {
		return r.State != Damaged && r.Enqueued >= p.Time
	}
	return max(r.Seq, r.Last) >= p.Seq
}

// afterAll is a sequence number after all items.
const afterAll = math.MaxUint64
