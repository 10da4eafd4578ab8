package cmdline

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

const (
	// terminalWidth is what a table has at least, and in a terminal whose width is not known.
	terminalWidth = 80

	// leastName is what is left of a name, at least.
	leastName = 8
)

// WideFlag is for commands with tables.
func WideFlag() cli.Flag {
	return &cli.BoolFlag{
		Name:  "wide",
		Usage: "whole names and all columns, as in a pipe, however wide the terminal is",
	}
}

// Width returns how many columns a table may take on standard output; 0 is no bound.
func Width(c *cli.Context) int {
	if c.Bool("wide") {
		return 0
	}
	return WidthOf(os.Stdout)
}

// WidthOf returns how many columns a table may take in a file: those of a terminal, or 0, which is
// no bound.
func WidthOf(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return terminalWidth
	}
	return width
}

// WriteTable writes rows of equal length. The first column, of names, is on the left, and the
// others, of numbers, on the right. To fit into width, names are cut in the middle; 0 is no bound.
func WriteTable(out io.Writer, rows [][]string, width int) error {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if width > 0 {
		for _, w := range widths[1:] {
			width -= w + len(gap)
		}
		widths[0] = min(widths[0], max(width, leastName))
	}
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "%-*s", widths[0], CutMiddle(row[0], widths[0]))
		for i, cell := range row[1:] {
			fmt.Fprintf(&b, "%s%*s", gap, widths[i+1], cell)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// FitColumns leaves out the last columns of a table as long as they leave less than 20 of width for
// its names. 0 is no bound.
func FitColumns(rows [][]string, width int) [][]string {
	if len(rows) == 0 || width <= 0 {
		return rows
	}
	const enough = 20
	names := 0
	for _, row := range rows {
		names = max(names, utf8.RuneCountInString(row[0]))
	}
	used, n := min(names, enough), 1
	for ; n < len(rows[0]); n++ {
		widest := 0
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(row[n]))
		}
		if used += len(gap) + widest; used > width {
			break
		}
	}
	fit := make([][]string, len(rows))
	for i, row := range rows {
		fit[i] = row[:n]
	}
	return fit
}

// gap is between columns.
const gap = "  "

// CutMiddle cuts a text that is too long in its middle: both ends of a name tell it apart.
func CutMiddle(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	head := width / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(width-head-1):])
}
