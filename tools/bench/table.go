package bench

// Tables in Markdown, aligned so that they are readable on a terminal too.

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// column is a column of a table.
type column struct {
	heading string
	cell    func(*Row) string
	left    bool // aligned to the left
}

var (
	server      = column{"server", func(r *Row) string { return r.Server }, true}
	work        = column{"work", func(r *Row) string { return r.Work }, true}
	connections = column{"connections", func(r *Row) string { return strconv.Itoa(r.Connections) },
		false}
	depth     = column{"in flight", func(r *Row) string { return strconv.Itoa(r.Depth) }, false}
	backlog   = column{"items", func(r *Row) string { return grouped(float64(*r.Backlog)) }, false}
	size      = column{"item", func(r *Row) string { return bytes1024(int64(*r.Size)) }, false}
	asked     = column{"asked/s", func(r *Row) string { return grouped(r.Asked) }, false}
	rate      = column{"requests/s", func(r *Row) string { return grouped(r.Rate) }, false}
	moved     = column{"MB/s", func(r *Row) string { return grouped(r.Moved / 1e6) }, false}
	p50       = micros("p50", func(l *Latency) float64 { return l.P50 })
	p90       = micros("p90", func(l *Latency) float64 { return l.P90 })
	p99       = micros("p99", func(l *Latency) float64 { return l.P99 })
	p999      = micros("p99.9", func(l *Latency) float64 { return l.P999 })
	p9999     = micros("p99.99", func(l *Latency) float64 { return l.P9999 })
	slowest   = micros("max", func(l *Latency) float64 { return l.Max })
	anonymous = column{"anonymous", func(r *Row) string { return bytes1024(r.Memory.Anonymous) },
		false}
	resident = column{"with files", func(r *Row) string { return bytes1024(r.Memory.Resident) },
		false}
	streamed = column{"large items/s", func(r *Row) string {
		if r.Streamed == 0 {
			return ""
		}
		return bytes1024(int64(r.Streamed))
	}, false}
	times = column{"", func(r *Row) string { // its heading names the first server
		if r.Times == 0 {
			return ""
		}
		return strconv.FormatFloat(r.Times, 'f', 2, 64) + " ×"
	}, false}
)

func micros(heading string, of func(*Latency) float64) column {
	return column{heading + " µs", func(r *Row) string { return grouped(of(r.Latency)) }, false}
}

// write writes the suite's table as a section.
func (s *Suite) write(out io.Writer) error {
	var table [][]string
	var columns []column
	for _, c := range s.columns {
		if c.heading == "" {
			if len(s.servers) == 1 {
				continue
			}
			c.heading = s.servers[0] + " is"
		}
		columns = append(columns, c)
	}
	for _, r := range s.Rows {
		var cells []string
		for _, c := range columns {
			cells = append(cells, c.cell(r))
		}
		table = append(table, cells)
	}
	_, err := fmt.Fprintf(out, "\n## %s: %s\n\n%s", s.Name, s.title, markdown(columns, table))
	return err
}

func markdown(columns []column, rows [][]string) string {
	width := make([]int, len(columns))
	for i, c := range columns {
		width[i] = max(utf8.RuneCountInString(c.heading), 3)
		for _, row := range rows {
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	line := func(cell func(i int) string) {
		for i := range columns {
			b.WriteString("| " + cell(i) + " ")
		}
		b.WriteString("|\n")
	}
	pad := func(i int, text string) string {
		space := strings.Repeat(" ", width[i]-utf8.RuneCountInString(text))
		if columns[i].left {
			return text + space
		}
		return space + text
	}
	line(func(i int) string { return pad(i, columns[i].heading) })
	line(func(i int) string {
		if columns[i].left {
			return strings.Repeat("-", width[i])
		}
		return strings.Repeat("-", width[i]-1) + ":"
	})
	for _, row := range rows {
		line(func(i int) string { return pad(i, row[i]) })
	}
	return b.String()
}

// grouped writes a number without a fraction and with separated thousands. One below 10 gets a
// decimal.
func grouped(n float64) string {
	if n < 10 && n != float64(int64(n)) {
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// bytes1024 writes a number of bytes with a binary unit.
func bytes1024(n int64) string {
	v, unit := float64(n), 0
	for ; v >= 1024 && unit < 4; unit++ {
		v /= 1024
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " " +
		[]string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
}
