package transport

import (
	"testing"
	"time"

	"github.com/darner/darner/wal/clock/clocktest"
)

func TestAWaitLastsAsLongAsItShouldWhateverTheTimeOfDayIsSetTo(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.withStillClock().listen(t, 10)
		other := h.dial()
		for _, by := range []time.Duration{0, -time.Hour, 2 * time.Hour} {
			waits := func() peer {
				c := h.dial()
				c.send("get q/t=1000\r\n")
				h.until("q", "waiter", waiters(1))
				day, _ := h.still.Now()
				h.still.SetDay(day.Add(by))
				return c
			}
			early := waits()
			h.step(999 * time.Millisecond)
			read := h.env.Counters.BytesRead.Load()
			early.send("version\r\n") // the session is looked at before its time
			eventually(t, "input", func() bool { return h.env.Counters.BytesRead.Load() > read })
			other.say("set q 0 0 1\r\na\r\n", "STORED\r\n")
			early.expect("VALUE q 0 1\r\na\r\nEND\r\nVERSION")

			late := waits()
			h.step(1000 * time.Millisecond)
			late.expect("END\r\n")
		}
	})
}

func TestTheCoarseClockIsAsOfWhenItLooked(t *testing.T) {
	exact := clocktest.New(time.UnixMilli(5000))
	var looked time.Duration
	c := NewCoarseClock(exact, func(_ time.Time, steady time.Duration) { looked = steady })
	exact.Step(1500 * time.Microsecond)
	if c.Now() != 5000 || c.Steady() != 1 {
		t.Errorf("got %d and %d before it looks, want 5000 and 1", c.Now(), c.Steady())
	}
	steady := c.tick()
	if steady != 2 || c.Steady() != 2 || c.Now() != 5001 || looked != 1500*time.Microsecond {
		t.Errorf("got %d, %d and %d after %v, want 2, 2 and 5001 after 1.5ms",
			steady, c.Steady(), c.Now(), looked)
	}
	for at, us := range map[int64]time.Duration{1: -1500, 2: -500, 3: 500} {
		if got, want := c.until(at), us*time.Microsecond; got != want {
			t.Errorf("got %v until %d, want %v", got, at, want)
		}
	}
}
