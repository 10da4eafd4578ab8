package transport

import (
	"net"
	"testing"
)

// mixed is a server with a listener for each transport.
func mixed(t *testing.T, maxConnections int) (h *harness, dial func(kind Kind) peer) {
	h = kind{loops: 1, still: true}.harness(t, maxConnections)
	addr := make(map[Kind]string)
	for _, k := range []Kind{Best, Portable} {
		l, err := ListenTCP("127.0.0.1", 0, TCPOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h.kind = k
		h.serve(l)
		addr[k] = h.addr
	}
	return h, func(kind Kind) peer {
		h.addr = addr[kind]
		return h.dial()
	}
}

func TestTheListenersOfAServerHaveOneLimitOfConnections(t *testing.T) {
	t.Parallel()
	h, dial := mixed(t, 2)
	dial(Best).say("version\r\n", "VERSION ")
	dial(Portable).say("version\r\n", "VERSION ")
	for _, k := range []Kind{Best, Portable} {
		c := dial(k)
		c.expect(refusal)
		c.expectEnd()
	}
	counters := h.env.Counters
	n, rejected := counters.Connections.Load(), counters.RejectedConnections.Load()
	if n != 2 || rejected != 2 {
		t.Errorf("got %d connections and %d rejected, want 2 of each", n, rejected)
	}
}

func TestAnItemSetThroughOneTransportEndsAWaitThroughTheOther(t *testing.T) {
	t.Parallel()
	h, dial := mixed(t, 10)
	for _, from := range []Kind{Best, Portable} {
		waiting, set := dial(from), dial(Portable-from)
		waiting.send("get q/t=60000\r\n")
		h.until("q", "waiter", waiters(1))
		set.say("set q 0 0 1\r\na\r\n", "STORED\r\n")
		waiting.expect("VALUE q 0 1\r\na\r\nEND\r\n")
	}
}

func TestStopEndsTheConnectionsOfAllListeners(t *testing.T) {
	t.Parallel()
	h, dial := mixed(t, 10)
	var waiting []peer
	for _, k := range []Kind{Best, Portable} {
		c := dial(k)
		c.send("get q/t=60000\r\n")
		waiting = append(waiting, c)
	}
	h.until("q", "two waiters", waiters(2))
	h.stop()
	for _, c := range waiting {
		c.expect("END\r\n")
		c.expectEnd()
		if _, err := net.Dial("tcp", c.RemoteAddr().String()); err == nil {
			t.Error("got a connection after the stop, want an error")
		}
	}
}
