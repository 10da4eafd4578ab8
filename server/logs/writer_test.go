package logs

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/wal/clock/clocktest"
)

func TestLinesAreWrittenInTheirOrder(t *testing.T) {
	var out sink
	w := NewWriter(&out, clocktest.New(time.Unix(1e9, 0))) // whose second does not pass
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(w, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	w.Close()
	if got := out.b.String(); got != want.String() {
		t.Errorf("got\n%.300s\nwant\n%.300s", got, &want)
	}
}

func TestAReaderThatIsStuckHoldsNobodyUp(t *testing.T) {
	r, to := io.Pipe()
	c := clocktest.New(time.Unix(1e9, 0))
	w := NewWriter(to, c)
	line := strings.Repeat("x", 99) + "\n"
	const n = 10_000 // much more than may wait
	for range n {
		io.WriteString(w, line)
	}
	closed := make(chan struct{})
	go func() { // nobody reads yet, so this takes as long as it may
		w.Close()
		close(closed)
	}()
	for open := true; open; {
		select {
		case <-closed:
			open = false
		default:
			c.Step(closeTime)
		}
	}
	go func() { // the reader comes back
		<-w.ended
		to.Close()
	}()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	whole, dropped := strings.Count(string(text), line), 0
	for l := range strings.Lines(string(text)) {
		if _, count, ok := strings.Cut(strings.TrimSpace(l), "lines were dropped\" lines="); ok {
			k, _ := strconv.Atoi(count)
			dropped += k
		}
	}
	if whole == 0 || dropped == 0 || whole+dropped != n {
		t.Errorf("got %d lines and %d that were dropped, want %d together", whole, dropped, n)
	}
}
