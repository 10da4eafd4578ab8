package bench

import (
	"math/bits"
	"time"
)

// A Histogram counts durations in buckets at most 1/32 (3%) wide, from nanoseconds to minutes,
// in 8 KiB. The zero value is empty.
type Histogram struct {
	buckets [1024]uint64
}

// bucket numbers durations so that every power of two has 32 buckets.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	shift := max(bits.Len64(n)-6, 0)
	return min(shift*32+int(n>>shift), len(Histogram{}.buckets)-1)
}

// upper is the largest duration that falls into a bucket.
func upper(bucket int) time.Duration {
	shift := max(bucket/32-1, 0)
	return time.Duration(bucket-shift*32+1)<<shift - 1
}

// Add counts a duration; a negative one counts as 0.
func (h *Histogram) Add(d time.Duration) { h.buckets[bucket(d)]++ }

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
}

// Count is the number of durations added.
func (h *Histogram) Count() int {
	var total uint64
	for _, n := range h.buckets {
		total += n
	}
	return int(total)
}

// Quantile is the duration that the fraction q (0..1) of those added do not exceed, rounded up by
// at most 3%; 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := q*float64(h.Count()), uint64(0)
	for i, n := range h.buckets {
		if seen += n; n > 0 && float64(seen) >= rank {
			return upper(i)
		}
	}
	return 0
}
