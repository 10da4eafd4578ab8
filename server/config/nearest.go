package config

// Suggestions for names that are not known.

import (
	"strings"

	"github.com/xrash/smetrics"
)

// Nearest returns the known name that was most likely meant; empty if none is near.
func Nearest(name string, known []string) (best string) {
	plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	least := max(2, len(name)/3) + 1
	for _, k := range known {
		like := strings.ToLower(strings.ReplaceAll(k, "_", "-"))
		n := smetrics.WagnerFischer(plain, like, 1, 1, 1)
		if len(k) > 3 && strings.HasSuffix(plain, like) {
			n = min(n, 2) // queue-max-disk in a queue's table
		}
		if n < least {
			best, least = k, n
		}
	}
	return best
}

// orSo is the suggestion as the end of an error.
func orSo(name string, known []string) string {
	if n := Nearest(name, known); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}
