package wal_test

// Scrubbing goes at its rate, by its clock, until its context ends.

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/clock/clocktest"
)

// slowScrub scrubs a cold segment at one byte a second.
func slowScrub(t *testing.T, ctx context.Context) (c *clocktest.Clock, done <-chan error) {
	t.Helper()
	m := newMemory(t)
	l := openCold(m)
	consumer(t, l)
	fillWith(t, l, 0, 3000, telemetry)
	rest(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if cold := m.files(".cold"); len(cold) == 0 {
		t.Fatal("got no cold segment: this test shows nothing")
	}
	c = clocktest.New(time.UnixMilli(1))
	s := &wal.Scrubber{FS: m.FS, Logger: quiet(), Rate: 8, Clock: c}
	over := make(chan error, 1)
	go func() {
		_, err := s.Scrub(ctx, "/data/q")
		over <- err
	}()
	return c, over
}

func TestScrubbingGoesByItsClock(t *testing.T) {
	c, done := slowScrub(t, context.Background())
	for c.Timers() == 0 {
		runtime.Gosched()
	}
	if len(done) > 0 {
		t.Fatal("got the end of scrubbing, want it to wait while the clock stands")
	}
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			c.Step(time.Hour)
			runtime.Gosched()
		}
	}
}

func TestScrubbingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, done := slowScrub(t, ctx)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that of the context", err)
	}
}

// The log that is open stores into it, or makes it the next one, and mends it itself.
func TestScrubbingLeavesASegmentAloneThatIsNotSealed(t *testing.T) {
	m := newMemory(t)
	l := m.open()
	consumer(t, l)
	fill(t, l, 0, 100)
	name := "/data/q/" + m.files(".seg")[0]
	if err := m.Corrupt(name, 2000, 1); err != nil {
		t.Fatal(err)
	}
	before, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &wal.Scrubber{FS: m.FS, Logger: quiet()}
	if mended, err := s.Scrub(context.Background(), "/data/q"); mended > 0 || err != nil {
		t.Errorf("got %d mended and %v, want none", mended, err)
	}
	if after, err := m.ReadFile(name); err != nil || string(after) != string(before) {
		t.Errorf("got the file changed, %v, want it as it was", err)
	}
	l.Close()
}
