package client

// The server's statistics, and the table that darner stats prints.

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Stats holds the figures of a server, by name, and those of its queues.
type Stats struct {
	Server map[string]string
	Queues []QueueStats // in the server's order
}

// QueueStats holds the figures of one queue, by name.
type QueueStats struct {
	Name   string
	Figure map[string]string
}

// Stats asks the server for all its figures.
func (c *Client) Stats() (Stats, error) {
	if err := c.request("stats"); err != nil {
		return Stats{}, err
	}
	s := Stats{Server: map[string]string{}}
	for {
		line, err := c.line()
		if err != nil || line == "END" {
			return s, err
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "STAT "), " ")
		if !ok || !strings.HasPrefix(line, "STAT ") {
			return Stats{}, unexpected(line)
		}
		s.add(name, strings.TrimSpace(value)) // a line of a name with a colon ends in a blank
	}
}

// firstFigure is the first figure of each queue. It separates figures with similar names: items of
// queue a_total from total_items of queue a.
const firstFigure = "_items"

func (s *Stats) add(name, value string) {
	rest, ok := strings.CutPrefix(name, "queue_")
	if !ok || name == "queue_creates" || name == "queue_deletes" || name == "queue_expires" {
		s.Server[name] = value
		return
	}
	if len(s.Queues) > 0 {
		q := s.Queues[len(s.Queues)-1]
		figure, ok := strings.CutPrefix(rest, q.Name+"_")
		if _, seen := q.Figure[figure]; ok && !seen {
			q.Figure[figure] = value
			return
		}
	}
	if queue, ok := strings.CutSuffix(rest, firstFigure); ok {
		s.Queues = append(s.Queues,
			QueueStats{Name: queue, Figure: map[string]string{"items": value}})
	}
}

// columns of the table of queues.
var columns = []struct {
	heading, figure string
	write           func(string) string
}{
	{"ITEMS", "items", plain}, {"BYTES", "bytes", size1024}, {"AGE", "age", milliseconds},
	{"WAITING", "waiters", plain}, {"OPEN", "open_transactions", plain},
	{"EVER", "total_items", plain}, {"EXPIRED", "expired_items", plain},
	{"DISK", "logsize", size1024}, {"DAMAGED", "damaged_records", plain},
}

// Write writes the figures for people: a few lines about the server, a row for each queue, and the
// queues that have failed. If only is not empty, it writes that queue alone; an unknown one is an
// error.
func (s Stats) Write(out io.Writer, only string) error {
	table := [][]string{{"QUEUE"}}
	for _, c := range columns {
		table[0] = append(table[0], c.heading)
	}
	for _, q := range s.Queues {
		if only != "" && q.Name != only {
			continue
		}
		row := []string{q.Name}
		for _, c := range columns {
			row = append(row, c.write(q.Figure[c.figure]))
		}
		table = append(table, row)
	}
	if only != "" && len(table) == 1 {
		return fmt.Errorf("there is no queue %s", only)
	}
	var b strings.Builder
	if only == "" {
		s.writeServer(&b)
	}
	writeTable(&b, table)
	for _, q := range s.Queues {
		if why := q.Figure["failed"]; why != "" && why != "no" && (only == "" || only == q.Name) {
			fmt.Fprintf(&b, "\n%s takes no items: %s\n", q.Name, why)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeTable aligns the first column, of names, left and the others, of numbers, right.
func writeTable(out io.Writer, table [][]string) {
	width := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range table {
		fmt.Fprintf(out, "%-*s", width[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(out, "  %*s", width[i+1], cell)
		}
		fmt.Fprintln(out)
	}
}

func (s Stats) writeServer(out io.Writer) {
	f := s.Server
	fmt.Fprintf(out, "darner %s, process %s, up %s\n", f["version"], f["pid"], seconds(f["uptime"]))
	fmt.Fprintf(out, "%s connections now, %s ever, %s turned away\n", f["curr_connections"],
		f["total_connections"], f["rejected_connections"])
	fmt.Fprintf(out, "%s sets, %s gets, %s hits, %s misses\n", f["cmd_set"], f["cmd_get"],
		f["get_hits"], f["get_misses"])
	fmt.Fprintf(out, "%s items wait, with %s bytes of data; ", f["curr_items"],
		size1024(f["bytes"]))
	fmt.Fprintf(out, "the queues take %s bytes of the disk\n\n", size1024(f["disk_bytes"]))
}

func plain(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// size1024 writes a number of bytes with a binary unit: 1536 is 1.5KiB.
func size1024(s string) string {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return plain(s)
	}
	unit := 0
	for ; n >= 1024 && unit < 4; unit++ {
		n /= 1024
	}
	if unit == 0 {
		return s
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + []string{"KiB", "MiB", "GiB", "TiB"}[unit-1]
}

func milliseconds(s string) string { return duration(s, time.Millisecond) }
func seconds(s string) string      { return duration(s, time.Second) }

// duration writes a number of units as a duration, without fractions of a second if it is long.
func duration(s string, unit time.Duration) string {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return plain(s)
	}
	d := time.Duration(n) * unit
	if d > time.Minute {
		d = d.Round(time.Second)
	}
	return d.String()
}
