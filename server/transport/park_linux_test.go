package transport

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/server/queue"
)

// hasty is a transport that parks connections soon.
func hasty(t *testing.T, idle time.Duration) *harness {
	t.Helper()
	h := newHarness(t, 2000)
	h.transport.idle = idle
	l, err := ListenTCP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	h.transport.Serve(l)
	return h
}

// parked counts connections without a goroutine.
func (h *harness) parked() int {
	h.transport.lot.mu.Lock()
	defer h.transport.lot.mu.Unlock()
	return len(h.transport.lot.inside)
}

func (h *harness) untilParked(n int) {
	h.t.Helper()
	eventually(h.t, "parked connection", func() bool { return h.parked() == n })
}

func TestASilentConnectionIsServedWhenItSpeaksAgain(t *testing.T) {
	t.Parallel()
	h := hasty(t, 10*time.Millisecond)
	c := h.dial()
	for range 3 {
		h.untilParked(1)
		c.say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	}
}

func TestASilentConnectionHoldsNoBufferAndNoMoreThanIsPending(t *testing.T) {
	t.Parallel()
	h := hasty(t, 10*time.Millisecond)
	body := strings.Repeat("x", 50000)
	c := h.dial()
	c.say("set q 0 0 50000\r\n"+body+"\r\n", "STORED\r\n")
	h.untilParked(1)
	if n := h.buffered(); n != 0 {
		t.Errorf("it keeps a buffer of %d bytes", n)
	}
	c.send("set q 0 0 50000\r\n" + body[:100])
	eventually(t, "input", func() bool { return h.env.Counters.BytesRead.Load() > 50100 })
	h.untilParked(1)
	if n := h.buffered(); n != classes[smallest] {
		t.Errorf("it keeps a buffer of %d bytes for 117", n)
	}
	c.say(body[100:]+"\r\n", "STORED\r\n")
}

// buffered is the size of the buffer of the one connection that is parked.
func (h *harness) buffered() int {
	h.transport.lot.mu.Lock()
	var c *conn
	for _, c = range h.transport.lot.inside {
	}
	h.transport.lot.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in.buf == nil {
		return 0
	}
	return cap(c.in.buf.b)
}

func TestASilentConnectionThatHangsUpIsNoticed(t *testing.T) {
	t.Parallel()
	h := hasty(t, 10*time.Millisecond)
	c := h.dial()
	c.say("set q 0 0 1\r\na\r\nget q/open\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	h.untilParked(1)
	c.Close()
	h.until("q", "item that returned", func(s queue.Stats) bool { return s.Open == 0 && s.Items == 1 })
	eventually(t, "end of the connection", func() bool { return h.env.Counters.Connections.Load() == 0 })
	h.untilParked(0)
}

func TestAParkedWaiterGetsItsItem(t *testing.T) {
	t.Parallel()
	h := hasty(t, 10*time.Millisecond)
	c := h.dial()
	c.send("get q/t=60000\r\n")
	h.until("q", "waiter", waiters(1))
	h.untilParked(1)
	h.dial().say("set q 0 0 1\r\na\r\n", "STORED\r\n")
	c.expect("VALUE q 0 1\r\na\r\nEND\r\n")
}

func TestTheWaitOfAParkedConnectionEndsAtItsTime(t *testing.T) {
	t.Parallel()
	h := hasty(t, 10*time.Millisecond)
	c := h.dial()
	began := time.Now()
	c.send("get q/t=300\r\n")
	h.until("q", "waiter", waiters(1))
	h.untilParked(1)
	c.expect("END\r\n")
	if took := time.Since(began); took < 290*time.Millisecond {
		t.Errorf("a wait of 300 ms took %v", took)
	}
	c.say("version\r\n", "VERSION ")
}

func TestAParkedWaiterWhoHangsUpTakesNothing(t *testing.T) {
	t.Parallel()
	h := hasty(t, 10*time.Millisecond)
	c := h.dial()
	c.send("get q/t=60000\r\n")
	h.until("q", "waiter", waiters(1))
	h.untilParked(1)
	c.Close()
	h.until("q", "end of the wait", waiters(0))
	h.dial().say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
}

func TestStopEndsParkedConnections(t *testing.T) {
	t.Parallel()
	h := hasty(t, 10*time.Millisecond)
	silent, waiting := h.dial(), h.dial()
	waiting.send("get q/t=60000\r\n")
	h.until("q", "waiter", waiters(1))
	h.untilParked(2)
	if took := h.stop(10 * time.Second); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	waiting.expect("END\r\n")
	waiting.expectEnd()
	silent.expectEnd()
}

// Many that fall silent and speak again at any moment.
func TestWhoIsParkedAndWhoNotIsServedAlike(t *testing.T) {
	t.Parallel()
	h := hasty(t, time.Millisecond)
	const clients, rounds = 20, 50
	done := make(chan error)
	for i := range clients {
		c := h.dial()
		go func() { done <- c.chat(rounds, time.Duration(500+100*i)*time.Microsecond) }()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// chat asks n times, with pauses.
func (p peer) chat(n int, pause time.Duration) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	answer := make([]byte, len("END\r\n"))
	for range n {
		<-tick.C
		if _, err := io.WriteString(p, "get none\r\n"); err != nil {
			return err
		}
		if _, err := io.ReadFull(p, answer); err != nil {
			return err
		}
	}
	return nil
}
