package config

// Sizes as operators write them: a number of bytes, or a number with a binary suffix.

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, never negative. It is a flag.Value.
type Size int64

// The units of sizes, in bytes.
const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
	TiB = 1 << 40
)

var units = []struct {
	bytes Size
	name  string
}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}}

// ParseSize reads a whole number with or without a suffix: k, m, g or t, alone or followed by b or
// ib, in either case. All are powers of 1024: "4194304", "4096k", "4M" and "4MiB" are the same.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit, ok := suffix(strings.TrimSpace(s[len(digits):]))
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || !ok || n > math.MaxInt64/uint64(unit) {
		return 0, fmt.Errorf("%q is not a size: give one as in 4194304, 64k or 4MiB", s)
	}
	return Size(n) * unit, nil
}

// suffix returns the factor of a suffix.
func suffix(s string) (Size, bool) {
	s = strings.ToLower(s)
	if s == "" || s == "b" {
		return 1, true
	}
	for _, u := range units {
		name := strings.ToLower(u.name)
		if s == name || s == name[:1] || s == name[:1]+"b" {
			return u.bytes, true
		}
	}
	return 1, false
}

// String writes s in its largest whole unit. ParseSize returns the same size.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Set parses text into s.
func (s *Size) Set(text string) error {
	v, err := ParseSize(text)
	if err == nil {
		*s = v
	}
	return err
}
