package fsck

// How the disk space is used: a line and a bar for each segment.

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/darner/darner/tools/names"
)

// signs are the characters that draw the states of bytes.
var signs = [...]byte{other: ' ', alive: '#', dead: '-', damaged: 'x', free: '.'}

// Space sets functions in o so that a run draws a bar for every segment, and one for all bodies of
// large items: it shows which parts are live, dead, damaged or free. Nothing else is written. With
// a cut, which shortens a text to a number of characters, all lines fit into 80 columns: names are
// cut, bars are shorter, and parts are in percent.
func Space(w io.Writer, o *Options, cut func(text string, width int) string) {
	fmt.Fprintf(w, "%c live  %c dead  %c damaged  %c free, allocated ahead  blank: no items\n",
		signs[alive], signs[dead], signs[damaged], signs[free])
	line, fit := Use.line, func(name, _ string) string { return name }
	if cut != nil {
		line = func(u Use) string { return u.shortLine(cut) }
		fit = func(name, rest string) string { return cut(name, max(80-len(rest), 8)) }
	}
	queue := ""
	o.Use = func(u Use) {
		if u.Queue != queue {
			fmt.Fprintf(w, "\n%s\n", fit(names.Printable(u.Queue), ""))
			queue = u.Queue
		}
		fmt.Fprintln(w, line(u))
	}
	o.Row = func(r Row) {
		sum := fmt.Sprintf(": %s, %s on disk, %s live, %s dead", items(r.Items), Size(r.Disk),
			Size(r.Live), Size(r.Dead))
		fmt.Fprintln(w, fit(names.Printable(r.Queue), sum)+sum)
	}
}

func (u Use) line() string {
	parts := u.parts(func(n int64) string { return Size(n) })
	return fmt.Sprintf("%-24s |%s| %10s  %s", u.File, u.bar(Cells), Size(u.Size), parts)
}

// shortLine has no zeros ahead of the numbers of a file's name, which tell nothing.
func (u Use) shortLine(cut func(string, int) string) string {
	numbers := strings.Split(u.File, "-")
	for i, n := range numbers {
		numbers[i] = strings.TrimLeft(n, "0")
	}
	parts := u.parts(func(n int64) string {
		if n*200 < u.Size {
			return "<1%"
		}
		return fmt.Sprintf("%d%%", (n*100+u.Size/2)/u.Size)
	})
	return fmt.Sprintf("%-16s |%s| %10s  %s", cut(strings.Join(numbers, "-"), 16),
		u.bar(Cells/3), Size(u.Size), cut(parts, 31))
}

// bar draws the file with n characters, a divisor of Cells. Damage shows, however little.
func (u Use) bar(n int) string {
	b, each := make([]byte, n), Cells/n
	for i := range b {
		part := u.Map[i*each : (i+1)*each]
		s := part[each/2]
		if slices.Contains(part, damaged) {
			s = damaged
		}
		b[i] = signs[s]
	}
	return string(b)
}

// parts lists the states that have bytes.
func (u Use) parts(write func(n int64) string) string {
	var say []string
	for _, p := range []struct {
		n    int64
		what string
	}{{u.Live, "live"}, {u.Dead, "dead"}, {u.Damaged, "damaged"}, {u.Free, "free"}} {
		if p.n > 0 {
			say = append(say, write(p.n)+" "+p.what)
		}
	}
	return strings.Join(say, ", ")
}
