package transport

import (
	"net"
	"testing"
	"time"

	"github.com/darner/darner/server/memcache"
)

// A timer that is stopped may ring all the same, and late.
func TestATimerThatRingsLateEndsNoOtherWait(t *testing.T) {
	h := goroutines.withStillClock().harness(t, 10)
	server, client := net.Pipe()
	defer client.Close()
	defer server.Close()
	c := newPortableConn(newPortable(h.server), server, memcache.Peer{})
	now := h.server.clock.Steady()
	for _, until := range []int64{0, now + 10} {
		if !c.beginWait(until) {
			t.Fatalf("got no wait until %d, want one", until)
		}
		if c.ring(); c.rung || c.passed {
			t.Errorf("got the end of a wait until %d, want that it goes on", until)
		}
		c.endWait()
	}
	c.beginWait(now + 10)
	h.step(10 * time.Millisecond)
	if !c.rung || !c.passed {
		t.Error("got a wait that goes on, want its end at its time")
	}
	if c.endWait(); c.rung || h.still.Timers() > 0 {
		t.Error("got a timer after the wait, want none")
	}
	if c.beginWait(now); !c.rung {
		t.Error("got a wait until a time in the past, want its end")
	}
}
