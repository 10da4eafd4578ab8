package config

// Sizes as operators write them: a number of bytes, or a number with a suffix.

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
	bytes, decimal Size
	name           string
}{{TiB, 1e12, "TiB"}, {GiB, 1e9, "GiB"}, {MiB, 1e6, "MiB"}, {KiB, 1e3, "KiB"}}

// ParseSize reads a whole number with or without a suffix, in either case. Suffixes are as the
// standards have them: KiB, MiB, GiB and TiB are powers of 1024, and so are k, m, g and t alone;
// KB, MB, GB and TB are powers of 1000. "4194304", "4096k" and "4MiB" are the same.
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
		switch name := strings.ToLower(u.name); s {
		case name, name[:1]:
			return u.bytes, true
		case name[:1] + "b":
			return u.decimal, true
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
