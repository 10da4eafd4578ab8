package main

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/darner/darner/tools/client"
)

// someStats are those of a server with a queue that has much of everything.
var someStats = client.Stats{
	Server: map[string]string{"version": "1.0", "pid": "42", "uptime": "3700", "cmd_set": "1",
		"get_misses": "1", "curr_items": "12345678", "bytes": "1536"},
	Queues: []client.QueueStats{
		{Name: "a", Figure: map[string]string{"items": "1", "bytes": "1536", "age": "90500"}},
		{Name: "telemetry-of-the-north-eastern-pumping-stations-pressure",
			Figure: map[string]string{"items": "12345678", "bytes": "1098900000000",
				"age": "864000000", "waiters": "10000", "open_transactions": "10000",
				"total_items": "99999999", "expired_items": "99999999", "logsize": "1098900000000",
				"damaged_records": "10000", "failed": "sync: input/output error"}},
	},
}

func TestTheTableFitsATerminal(t *testing.T) {
	var b strings.Builder
	if err := writeStats(&b, someStats, 80); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if !strings.Contains(line, "telemetry-of-the-north-eastern") && utf8.RuneCountInString(line) > 81 {
			t.Errorf("got a line of %d columns, want 80 at most: %s", utf8.RuneCountInString(line),
				line)
		}
	}
	for _, want := range []string{"darner 1.0, process 42, up 1h1m\n", "\n1 set, - gets, - hits, 1 miss\n",
		"…", "12.3M", "\na ", "1.5KiB", "1m30s", "10d0h", "takes no items: sync: input/output error\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", &b, want)
		}
	}
}

func TestInAPipeTheTableIsWhole(t *testing.T) {
	var b strings.Builder
	if err := writeStats(&b, someStats, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{someStats.Queues[1].Name, "12345678", "EXPIRED", "DAMAGED"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", &b, want)
		}
	}
}

func TestOneQueueShowsAllItsFigures(t *testing.T) {
	var b strings.Builder
	if err := writeQueue(&b, someStats, "a"); err != nil || b.String() !=
		"age    90500\nbytes   1536\nitems      1\n" {
		t.Errorf("got %v and\n%s\nwant a line for each figure", err, &b)
	}
	if err := writeQueue(&b, someStats, "nosuch"); exitCode(err) != 1 {
		t.Errorf("an unknown queue: got %v, want exit code 1", err)
	}
}

func TestNamesThatATerminalWouldObeyAreQuoted(t *testing.T) {
	hostile := client.Stats{Server: someStats.Server, Queues: []client.QueueStats{{
		Name: "\u009b31mred", Figure: map[string]string{"items": "1", "failed": "sync", "refused": "1",
			"refused_failed": "1"},
	}}}
	var table, shown, piped strings.Builder
	if err := errors.Join(writeStats(&table, hostile, 80), list(&shown, hostile, false, true),
		list(&piped, hostile, false, false)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(table.String(), "\u009b") || strings.Count(table.String(), `"\u009b31mred"`) != 3 {
		t.Errorf("got the table\n%s\nwant the name quoted three times", &table)
	}
	if want := `"\u009b31mred"` + "\n"; shown.String() != want {
		t.Errorf("got %q on a terminal, want %q", &shown, want)
	}
	if want := "\u009b31mred\n"; piped.String() != want {
		t.Errorf("got %q in a pipe, want %q", &piped, want)
	}
}

func TestFiguresThatAServerDoesNotHaveAreDashes(t *testing.T) {
	var b strings.Builder
	writeServer(&b, client.Stats{Server: map[string]string{"version": "0.2", "uptime": "1"}})
	for _, want := range []string{"process -,", "- hits, - misses\n", "- turned away\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", &b, want)
		}
	}
}
