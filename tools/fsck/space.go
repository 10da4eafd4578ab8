package fsck

// Where the disk went: a line and a bar for each segment.

import (
	"fmt"
	"io"
	"strings"
)

// signs draw the states of bytes.
var signs = [...]byte{other: ' ', alive: '#', dead: '-', damaged: 'x', free: '.'}

// Space completes options so that a run draws every segment and all bodies of large items as a bar:
// which part of the file is live, dead, damaged, free. Nothing else is written.
func Space(w io.Writer, o *Options) {
	fmt.Fprintf(w, "%c live  %c dead  %c damaged  %c free: allocated ahead\n", signs[alive], signs[dead], signs[damaged], signs[free])
	queue := ""
	o.Use = func(u Use) {
		if u.Queue != queue {
			fmt.Fprintf(w, "\n%s\n", printable(u.Queue))
			queue = u.Queue
		}
		fmt.Fprintf(w, "%-24s |%s| %10s  %s\n", u.File, u.bar(), Size(u.Size), u.parts())
	}
	o.Row = func(r Row) {
		fmt.Fprintf(w, "%s: %s, %s on disk, %s live, %s dead\n", printable(r.Queue), items(r.Items), Size(r.Disk), Size(r.Live), Size(r.Dead))
	}
}

func (u Use) bar() string {
	var b [Cells]byte
	for i, s := range u.Map {
		b[i] = signs[s]
	}
	return string(b[:])
}

// parts names the shares that are not zero.
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
