package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/darner/darner/wal/clock"
	"github.com/darner/darner/wal/clock/clocktest"
)

var (
	refusedTrouble = &Trouble{Level: slog.LevelWarn, Text: "items are%s refused", Reason: "disk_full"}
	expiredTrouble = &Trouble{Level: slog.LevelInfo, Text: "expired items are%s dropped"}
)

// book is a log that a test reads.
type book struct{ bytes.Buffer }

func newEpisodes() (*Episodes, *clocktest.Clock, *book) {
	c, b := clocktest.New(time.UnixMilli(0)), new(book)
	return NewEpisodes(c, slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))), c, b
}

// wantLines compares what the log has got since the last call.
func (b *book) wantLines(t *testing.T, want ...string) {
	t.Helper()
	got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	b.Reset()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got lines %q, want %q", got, want)
	}
}

func TestATroubleIsToldWhenItBeginsOnceAMinuteAndWhenItEnds(t *testing.T) {
	e, c, b := newEpisodes()
	full := errors.New("no space left")
	e.Note(refusedTrouble, "work", 1, full)
	e.Note(refusedTrouble, "work", 2, full)
	c.Step(0)
	b.wantLines(t, `level=WARN msg="items are refused" queue=work reason=disk_full count=3 error="no space left"`)
	for range 90 {
		e.Note(refusedTrouble, "work", 1, full)
		c.Step(time.Second)
	}
	b.wantLines(t, `level=WARN msg="items are still refused" queue=work reason=disk_full count=60 total=63 `+
		`for=1m0s error="no space left"`)
	c.Step(30 * time.Second)
	b.wantLines(t, `level=WARN msg="items are still refused" queue=work reason=disk_full count=30 total=93 `+
		`for=2m0s error="no space left"`)
	c.Step(time.Minute)
	b.wantLines(t, `level=WARN msg="items are no longer refused" queue=work reason=disk_full total=93 for=3m0s`)
	if c.Step(time.Hour); c.Timers() != 0 {
		t.Errorf("got %d timers when all is well, want none", c.Timers())
	}
	b.wantLines(t, "")
	e.Note(refusedTrouble, "work", 1, full)
	c.Step(0)
	b.wantLines(t, `level=WARN msg="items are refused" queue=work reason=disk_full count=1 error="no space left"`)
}

func TestTroublesAndQueuesAreToldApart(t *testing.T) {
	e, c, b := newEpisodes()
	e.Note(expiredTrouble, "a", 1, nil)
	c.Step(0)
	e.Note(refusedTrouble, "a", 2, nil)
	c.Step(0)
	e.Note(expiredTrouble, "b", 3, nil)
	c.Step(0)
	b.wantLines(t, `level=INFO msg="expired items are dropped" queue=a count=1`,
		`level=WARN msg="items are refused" queue=a reason=disk_full count=2`,
		`level=INFO msg="expired items are dropped" queue=b count=3`)
}

func TestHoweverManyQueuesAreInTroubleTheLinesAreFew(t *testing.T) {
	e, c, b := newEpisodes()
	const queues = 100_000
	for range 2 {
		for i := range queues {
			e.Note(refusedTrouble, fmt.Sprint("q", i), 1, nil)
		}
	}
	c.Step(0)
	if got := strings.Count(b.String(), "\n"); got != maxNamed+1 || len(e.running) != got {
		t.Errorf("got %d lines and %d episodes, want %d", got, len(e.running), maxNamed+1)
	}
	others := fmt.Sprintf("queues=others reason=disk_full count=%d", 2*(queues-maxNamed))
	if !strings.Contains(b.String(), others) {
		t.Errorf("got %q, want %q in it", b, others)
	}
	b.Reset()
	e.Note(expiredTrouble, "work", 1, nil)
	c.Step(0)
	b.wantLines(t, `level=INFO msg="expired items are dropped" queue=work count=1`)
	if c.Step(time.Hour); len(e.running) != 0 || len(e.named) != 2 || e.named[refusedTrouble] != 0 {
		t.Errorf("got %d episodes, named %v, want none", len(e.running), e.named)
	}
}

func TestTheEndOfTheServerTellsWhatWasNotToldYet(t *testing.T) {
	e, c, b := newEpisodes()
	e.Note(expiredTrouble, "told", 1, nil)
	e.Note(refusedTrouble, "work", 1, nil)
	c.Step(0)
	e.Note(refusedTrouble, "work", 4, nil)
	b.Reset()
	e.Close()
	e.Close()
	b.wantLines(t, `level=WARN msg="items are still refused" queue=work reason=disk_full count=4 total=5 for=0s`)
	e.Note(refusedTrouble, "work", 1, nil)
	if c.Step(time.Hour); c.Timers() != 0 {
		t.Errorf("got %d timers after the end, want none", c.Timers())
	}
	b.wantLines(t, "")
}

func TestNoEventIsLostBetweenTheLines(t *testing.T) {
	var b book
	e := NewEpisodes(clock.System, slog.New(slog.NewTextHandler(&b, nil)))
	const each, goroutines = 1000, 8
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				e.Note(refusedTrouble, "work", 1, nil)
			}
		})
	}
	all.Wait()
	e.Close()
	total := 0
	for line := range strings.Lines(b.String()) {
		_, rest, _ := strings.Cut(line, " count=")
		var n int
		fmt.Sscan(rest, &n)
		total += n
	}
	if total != each*goroutines {
		t.Errorf("got %d events in\n%s\nwant %d", total, b.String(), each*goroutines)
	}
}
