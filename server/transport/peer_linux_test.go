package transport

import (
	"strings"
	"testing"
)

// flooded makes a client that waits for an item of w, sends more than the server buffers, and hangs
// up.
func (h *harness) flooded() {
	h.t.Helper()
	c := h.dial()
	c.send("get w/t=60000\r\n" + strings.Repeat("version\r\n", 9000))
	eventually(h.t, "full buffer", func() bool {
		return h.env.Counters.BytesRead.Load() >= uint64(classes[largest])
	})
	h.until("w", "waiter", waiters(1))
	c.Close()
}

func TestAWaiterWhoHangsUpBehindAFullBufferTakesNothing(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		h.flooded()
		h.dial().say("set w 0 0 1\r\na\r\nget w/t=60000\r\n",
			"STORED\r\nVALUE w 0 1\r\na\r\nEND\r\n")
	})
}

func TestAWaiterWhoHangsUpBehindAFullBufferIsNoticed(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		h.flooded()
		h.until("w", "end of the wait", waiters(0))
	})
}
