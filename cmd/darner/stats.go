package main

// darner stats and darner ls: a server's figures, for people.

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/tools/client"
	"github.com/darner/darner/tools/names"
)

func statsCommand() *cli.Command {
	return &cli.Command{
		Name:      "stats",
		Usage:     "show the figures of the server and its queues, or of one queue",
		ArgsUsage: "[QUEUE]",
		Flags: []cli.Flag{
			serverFlag(),
			cmdline.WideFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usage("one queue at a time, not %d", c.NArg())
			}
			return dial(c, func(from *client.Client) error {
				s, err := from.Stats()
				if err != nil {
					return err
				}
				if only := c.Args().First(); only != "" {
					return writeQueue(os.Stdout, s, only)
				}
				return writeStats(os.Stdout, s, cmdline.Width(c))
			})
		},
	}
}

func lsCommand() *cli.Command {
	return &cli.Command{
		Name:  "ls",
		Usage: "list the queues, one name on a line",
		Flags: []cli.Flag{
			serverFlag(),
			&cli.BoolFlag{Name: "long", Aliases: []string{"l"}, Usage: "with the number of items"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("ls lists all queues; stats shows one")
			}
			return dial(c, func(from *client.Client) error {
				s, err := from.Stats()
				if err != nil {
					return err
				}
				return list(os.Stdout, s, c.Bool("long"), cmdline.WidthOf(os.Stdout) > 0)
			})
		},
	}
}

// list writes names as they are, so that others can read them, or so that a terminal can show them.
func list(out io.Writer, s client.Stats, long, terminal bool) error {
	var b strings.Builder
	for _, q := range s.Queues {
		if long {
			fmt.Fprintf(&b, "%10s  ", q.Figure["items"])
		}
		name := q.Name
		if terminal {
			name = names.Printable(name)
		}
		b.WriteString(name + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// columns of the table of queues. wide ones are left out where it has to fit.
var columns = []struct {
	heading, figure string
	write           func(string) string
	wide            bool
}{
	{"ITEMS", "items", plain, false}, {"BYTES", "bytes", size1024, false},
	{"AGE", "age", milliseconds, false}, {"WAIT", "waiters", plain, false},
	{"OPEN", "open_transactions", plain, false}, {"EVER", "total_items", plain, false},
	{"EXPIRED", "expired_items", plain, true}, {"DISCARDED", "discarded", plain, true},
	{"DISK", "logsize", size1024, false}, {"DAMAGED", "damaged_records", plain, true},
}

// writeStats writes a few lines about the server, a row for each queue, and the queues that have
// failed. If width is not 0, the table fits into it.
func writeStats(out io.Writer, s client.Stats, width int) error {
	table := [][]string{{"QUEUE"}}
	for _, q := range s.Queues {
		table = append(table, []string{names.Printable(q.Name)})
	}
	for _, c := range columns {
		if c.wide && width > 0 {
			continue
		}
		table[0] = append(table[0], c.heading)
		for i, q := range s.Queues {
			text := c.write(q.Figure[c.figure])
			if width > 0 {
				text = short(text)
			}
			table[i+1] = append(table[i+1], text)
		}
	}
	var b strings.Builder
	writeServer(&b, s)
	if err := cmdline.WriteTable(&b, table, width); err != nil {
		return err
	}
	for _, q := range s.Queues {
		if why := q.Figure["failed"]; why != "" && why != "no" {
			fmt.Fprintf(&b, "\n%s takes no items: %s\n", names.Printable(q.Name), why)
		}
		if losses := q.Losses(); losses != "" {
			fmt.Fprintf(&b, "\n%s since the start: %s\n", names.Printable(q.Name), losses)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeQueue writes all figures of one queue.
func writeQueue(out io.Writer, s client.Stats, name string) error {
	i := slices.IndexFunc(s.Queues, func(q client.QueueStats) bool { return q.Name == name })
	if i < 0 {
		return cmdline.Exit(cmdline.ExitEmpty, fmt.Errorf("there is no queue %s", name))
	}
	figures := s.Queues[i].Figure
	table := [][]string{}
	for _, figure := range slices.Sorted(maps.Keys(figures)) {
		table = append(table, []string{figure, figures[figure]})
	}
	return cmdline.WriteTable(out, table, 0)
}

func writeServer(out io.Writer, s client.Stats) {
	f := s.Server
	fmt.Fprintf(out, "darner %s, process %s, up %s\n", f["version"], plain(f["pid"]), seconds(f["uptime"]))
	fmt.Fprintf(out, "%s now, %s ever, %s turned away\n", count(f, "curr_connections", "connection"),
		plain(f["total_connections"]), plain(f["rejected_connections"]))
	fmt.Fprintf(out, "%s, %s, %s, %s\n", count(f, "cmd_set", "set"), count(f, "cmd_get", "get"),
		count(f, "get_hits", "hit"), count(f, "get_misses", "miss"))
	fmt.Fprintf(out, "%s of %s waiting; %s of disk for %s\n\n",
		count(f, "curr_items", "item"), size1024(f["bytes"]), size1024(f["disk_bytes"]),
		client.Count(int64(len(s.Queues)), "queue"))
}

// count writes a figure and what it counts.
func count(figures map[string]string, name, thing string) string {
	n, err := strconv.ParseInt(figures[name], 10, 64)
	if n != 1 && strings.HasSuffix(thing, "s") {
		thing += "e"
	}
	if err != nil {
		return plain(figures[name]) + " " + thing + "s"
	}
	return client.Count(n, thing)
}

func plain(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// short writes a number of more than seven digits in millions: 12345678 is 12.3M.
func short(text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 10_000_000 {
		return text
	}
	return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + "M"
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
	decimals := 0
	if unit > 0 && n < 100 {
		decimals = 1
	}
	return strconv.FormatFloat(n, 'f', decimals, 64) +
		[]string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
}

func milliseconds(s string) string { return durationOf(s, time.Millisecond) }
func seconds(s string) string      { return durationOf(s, time.Second) }

// durationOf writes a number of units with the two largest units of time that it has: 3d4h, 5m0s.
func durationOf(s string, unit time.Duration) string {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return plain(s)
	}
	const day = 24 * time.Hour
	switch d := time.Duration(n) * unit; {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return d.Truncate(time.Second).String()
	case d >= time.Second:
		return d.Truncate(100 * time.Millisecond).String()
	default:
		return d.String()
	}
}
