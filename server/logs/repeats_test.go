package logs

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/darner/darner/wal/clock/clocktest"
)

// sink collects lines.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// take returns the lines that came since the last call, without their times.
func (s *sink) take() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.b.String()) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, rest)
	}
	s.b.Reset()
	return lines
}

func start() (*clocktest.Clock, *sink, *Repeats, *slog.Logger) {
	c, out := clocktest.New(time.Unix(1e9, 0)), new(sink)
	r := NewRepeats(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}), c)
	return c, out, r, slog.New(r)
}

func expect(t *testing.T, s *sink, want ...string) {
	t.Helper()
	if got := s.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestALineThatRepeatsIsWrittenAtOnceAndThenOnceAMinuteWithACount(t *testing.T) {
	c, out, _, log := start()
	for range 17 {
		log.Warn("no room", "queue", "q")
	}
	log.Warn("no room", "queue", "other")
	expect(t, out, `level=WARN msg="no room" queue=q`, `level=WARN msg="no room" queue=other`)
	c.Step(59 * time.Second)
	expect(t, out)
	c.Step(time.Second)
	expect(t, out, `level=WARN msg="no room" queue=q repeated=16`)
	if n := c.Timers(); n != 0 {
		t.Errorf("got %d timers with nothing left to write, want none", n)
	}
	log.Warn("no room", "queue", "q")
	c.Step(30 * time.Second)
	log.Warn("no room", "queue", "q")
	expect(t, out)
	c.Step(30 * time.Second)
	expect(t, out, `level=WARN msg="no room" queue=q repeated=2`)
	c.Step(time.Minute)
	log.Warn("no room", "queue", "q")
	expect(t, out, `level=WARN msg="no room" queue=q`)
}

func TestLinesOfLoggersWithAttributesAreToldApart(t *testing.T) {
	_, out, r, log := start()
	for range 3 {
		log.With("queue", "a").Error("x")
		log.With("queue", "b").WithGroup("g").Error("x", "y", 1)
	}
	expect(t, out, "level=ERROR msg=x queue=a", "level=ERROR msg=x queue=b g.y=1")
	r.Flush()
	if got := out.take(); len(got) != 2 || !strings.Contains(got[0], "repeated=2") {
		t.Errorf("got %q at the end, want both with repeated=2", got)
	}
}

func TestDebugLinesAllPass(t *testing.T) {
	_, out, r, log := start()
	log.Debug("x")
	log.Debug("x")
	r.Flush()
	expect(t, out, "level=DEBUG msg=x", "level=DEBUG msg=x")
}

func TestTheMemoryOfLinesIsBounded(t *testing.T) {
	c, out, r, log := start()
	for i := range 3 * maxLines {
		log.Info("x", "n", strconv.Itoa(i))
	}
	if n := len(out.take()); n != 3*maxLines || len(r.all.seen) != maxLines {
		t.Errorf("got %d lines, %d remembered, want %d, %d", n, len(r.all.seen), 3*maxLines,
			maxLines)
	}
	c.Step(2 * time.Minute)
	log.Info("y")
	if n := len(r.all.seen); n != 1 {
		t.Errorf("got %d lines remembered after a while, want 1", n)
	}
}
