package main

// A progress bar on a terminal.

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// bar is a progress bar, drawn at most ten times a second. It does nothing without a terminal.
type bar struct {
	w     io.Writer // nil without a terminal
	drawn time.Time
	shown bool
}

func newBar(f *os.File) *bar {
	if !term.IsTerminal(int(f.Fd())) {
		return &bar{}
	}
	return &bar{w: f}
}

// progress returns a function that draws the bar; nil without a terminal.
func (b *bar) progress() func(done, all int64) {
	if b.w == nil {
		return nil
	}
	return func(done, all int64) {
		const cells = 40
		if all == 0 || time.Since(b.drawn) < 100*time.Millisecond {
			return
		}
		n := int(done * cells / all)
		fmt.Fprintf(b.w, "\r[%s%s] %3d%%",
			strings.Repeat("#", n), strings.Repeat(" ", cells-n), done*100/all)
		b.drawn, b.shown = time.Now(), true
	}
}

func (b *bar) clear() {
	if b.shown {
		fmt.Fprintf(b.w, "\r%50s\r", "")
		b.shown = false
	}
}

// aside returns a writer that removes the bar before it writes a line.
func (b *bar) aside(out interface {
	io.Writer
	Flush() error
}) io.Writer {
	return writer(func(p []byte) (int, error) {
		if !b.shown {
			return out.Write(p)
		}
		b.clear()
		n, err := out.Write(p)
		if err == nil {
			err = out.Flush()
		}
		return n, err
	})
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
