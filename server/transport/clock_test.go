package transport

import (
	"testing"
	"time"
)

func TestAWaitLastsAsLongAsItShouldWhateverTheTimeOfDayIsSetTo(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		for _, by := range []time.Duration{-time.Hour, 2 * time.Hour} {
			c := h.dial()
			const wait = time.Second // long enough for a busy machine to see it
			began := time.Now()
			c.send("get q/t=1000\r\n")
			h.until("q", "waiter", waiters(1))
			h.set.Add(by.Milliseconds())
			c.say("version\r\n", "END\r\nVERSION") // the session is looked at before its time
			if took := time.Since(began); took < wait-10*time.Millisecond || took > time.Minute {
				t.Errorf("it took %v", took)
			}
		}
	})
}

func TestTheClockCountsFromOneAndKnowsWhen(t *testing.T) {
	c := NewClock(nil)
	if n := c.at(c.began); n != 1 {
		t.Errorf("it begins with %d", n)
	}
	for _, n := range []int64{1, 2, 1000, 1 << 31} {
		at := c.when(n)
		if c.at(at) != n || c.at(at.Add(-1)) >= n && n > 1 {
			t.Errorf("%d is at %v, which is %d", n, at, c.at(at))
		}
	}
}
