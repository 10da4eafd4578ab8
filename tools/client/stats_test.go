package client

import (
	"slices"
	"strings"
	"testing"
)

const someStats = "STAT uptime 3700\r\nSTAT version 1.0\r\nSTAT pid 42\r\nSTAT curr_items 3\r\n" +
	"STAT queue_creates 2\r\n" +
	"STAT queue_a_items 1 \r\nSTAT queue_a_bytes 1536 \r\n" +
	"STAT queue_a_total_items 9\r\nSTAT queue_a_age 90500\r\n" +
	"STAT queue_a_total_items 2\r\nSTAT queue_a_total_bytes 5\r\n" +
	"STAT queue_a_total_total_items 4\r\n" +
	"STAT queue_creates_items 7\r\nSTAT queue_creates_bytes 70\r\n" +
	"STAT queue_creates_failed sync: input/output error\r\nEND\r\n"

func TestFiguresFindTheirQueueWhateverItsName(t *testing.T) {
	c := against(t, [2]string{"stats\r\n", someStats})
	s, err := c.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Server["uptime"] != "3700" || s.Server["queue_creates"] != "2" || len(s.Server) != 5 {
		t.Errorf("got the server's figures %v, want 5 of them", s.Server)
	}
	want := []QueueStats{
		{"a", map[string]string{"items": "1", "bytes": "1536", "total_items": "9", "age": "90500"}},
		{"a_total", map[string]string{"items": "2", "bytes": "5", "total_items": "4"}},
		{"creates",
			map[string]string{"items": "7", "bytes": "70", "failed": "sync: input/output error"}},
	}
	if len(s.Queues) != len(want) {
		t.Fatalf("got queues %v, want %v", s.Queues, want)
	}
	for i, q := range s.Queues {
		if q.Name != want[i].Name || len(q.Figure) != len(want[i].Figure) {
			t.Errorf("queue %d: got %v, want %v", i, q, want[i])
		}
		for name, value := range want[i].Figure {
			if q.Figure[name] != value {
				t.Errorf("%s of %s: got %s, want %s", name, q.Name, q.Figure[name], value)
			}
		}
	}
}

func TestQueuesWhoseNamesBeginWithAnothersAreAllListed(t *testing.T) {
	names := []string{"a", "a_b", "a_b_items", "a_b_items_items", "a_items", "a_mem", "a_mem_b",
		"a_total", "creates", "creates_x", "queue_a", "queue_queue"}
	for _, figures := range [][]string{
		{"items", "bytes", "total_items", "logsize", "expired_items", "mem_items", "age", "waiters"},
		{"items", "waiters", "open_transactions"}, // of the original
	} {
		var answer strings.Builder
		for _, name := range names {
			for _, figure := range figures {
				answer.WriteString("STAT queue_" + name + "_" + figure + " 1\r\n")
			}
		}
		c := against(t, [2]string{"stats\r\n", answer.String() + "END\r\n"})
		s, err := c.Stats()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, q := range s.Queues {
			got = append(got, q.Name)
			if len(q.Figure) != len(figures) {
				t.Errorf("%s: got figures %v, want %v", q.Name, q.Figure, figures)
			}
		}
		if !slices.Equal(got, names) {
			t.Errorf("got queues %q, want %q", got, names)
		}
	}
}
