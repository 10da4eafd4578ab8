// Package names is how the names of queues are shown.
package names

import "strconv"

// Printable returns a name as it is, or quoted as in Go if it has bytes that a terminal should not
// get: it would obey some of them.
func Printable(name string) string {
	if q := strconv.Quote(name); q[1:len(q)-1] != name {
		return q
	}
	return name
}
