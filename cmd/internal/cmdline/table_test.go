package cmdline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestLongNamesAreCutInTheMiddleToFit(t *testing.T) {
	rows := [][]string{{"QUEUE", "ITEMS"}, {"orders-of-the-north-east", "1234567"}, {"é", "1"}}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, "QUEUE                       ITEMS\norders-of-the-north-east  1234567\n" +
			"é                               1\n"},
		{25, "QUEUE               ITEMS\norders-o…th-east  1234567\n" +
			"é                       1\n"},
		{1, "QUEUE       ITEMS\norde…ast  1234567\né               1\n"},
	} {
		var b strings.Builder
		if err := WriteTable(&b, rows, c.width); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("width %d: got\n%swant\n%s", c.width, &b, c.want)
		}
	}
}

func TestTheLastColumnsGoWhereATableIsTooWide(t *testing.T) {
	rows := [][]string{{"queue", "items", "oldest"}, {strings.Repeat("q", 40), "123456", "2026-01-31"}}
	for width, want := range map[int]int{0: 3, 40: 3, 39: 2, 28: 2, 27: 1, 1: 1} {
		for _, row := range FitColumns(rows, width) {
			if len(row) != want {
				t.Errorf("width %d: got %q, want %d columns", width, row, want)
			}
		}
	}
}

func TestAnErrorKeepsItsFirstExitCode(t *testing.T) {
	err := fmt.Errorf("stats: %w", Exit(ExitNoServer, errors.New("no server")))
	if code, ok := ExitCode(Exit(ExitHere, err)); !ok || code != ExitNoServer {
		t.Errorf("got exit code %d, %v, want %d", code, ok, ExitNoServer)
	}
	if _, ok := ExitCode(errors.New("any")); ok || Exit(ExitHere, nil) != nil {
		t.Error("got a code for what has none, want none")
	}
}
