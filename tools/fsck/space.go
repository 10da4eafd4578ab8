package fsck

// How the disk space is used: a line and a bar for each segment.

import (
	"fmt"
	"io"
	"strings"
)

// signs are the characters that draw the states of bytes.
var signs = [...]byte{other: ' ', alive: '#', dead: '-', damaged: 'x', free: '.'}

// Space sets functions in o so that a run draws a bar for every segment, and one for all bodies of
// large items: it shows which parts are live, dead, damaged or free. Nothing else is written.
func Space(w io.Writer, o *Options) {
	fmt.Fprintf(w, "%c live  %c dead  %c damaged  %c free: allocated ahead\n", signs[alive],
		signs[dead], signs[damaged], signs[free])
	queue := ""
	o.Use = func(u Use) {
		if u.Queue != queue {
			fmt.Fprintf(w, "\n%s\n", printable(u.Queue))
			queue = u.Queue
		}
		fmt.Fprintf(w, "%-24s |%s| %10s  %s\n", u.File, u.bar(), Size(u.Size), u.parts())
	}
	o.Row = func(r Row) {
		fmt.Fprintf(w, "%s: %s, %s on disk, %s live, %s dead\n", printable(r.Queue), items(r.Items),
			Size(r.Disk), Size(r.Live), Size(r.Dead))
	}
}

func (u Use) bar() string {
	var b [Cells]byte
	for i, s := range u.Map {
		b[i] = signs[s]
	}
	return string(b[:])
}

// parts lists the states that have bytes.
func (u Use) parts() string {
	var say []string
	for _, p := range []struct {
		n    int64
		what string
	}{{u.Live, "live"}, {u.Dead, "dead"}, {u.Damaged, "damaged"}, {u.Free, "free"}} {
		if p.n > 0 {
			say = append(say, Size(p.n)+" "+p.what)
		}
	}
	return strings.Join(say, ", ")
}
