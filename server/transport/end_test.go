package transport

// How connections end: half closed by the client, or by a server that stops.

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestStopLosesNoAnswerWhileTheClientStillSends(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.withStillClock().listen(t, 10)
		const count, size = 400, 1000
		item := strings.Repeat("x", size) + "\r\n"
		h.dial().say(strings.Repeat("set q 0 0 1000\r\n"+item, count),
			strings.Repeat("STORED\r\n", count))
		c := h.dial()
		c.SetReadBuffer(64 << 10)
		answer := strings.Repeat("VALUE q 0 1000\r\n"+item+"END\r\n", count)
		written := h.env.Counters.BytesWritten.Load() + uint64(len(answer))
		c.send(strings.Repeat("get q\r\n", count))
		c.send("set q 0 0 2000000000\r\n") // too large: its body is discarded
		eventually(t, "answer", func() bool {
			return h.env.Counters.BytesWritten.Load() >= written
		})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for body := bytes.Repeat([]byte("y"), 4096); ; {
				if _, err := c.Write(body); err != nil {
					return
				}
			}
		}()
		stopped := h.beginStop(context.Background())
		h.step(drainTime + 5*drainPause)
		c.expect(answer)
		c.Close()
		<-ended
		h.awaitStop(stopped)
	})
}

func TestAClientThatOnlySendsNoMoreGetsItsAnswers(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		c := on.listen(t, 10).dial()
		const count = 20
		c.send(strings.Repeat("set q/sync 0 0 1\r\na\r\n", count) + "get q\r\n")
		c.CloseWrite()
		c.expect(strings.Repeat("STORED\r\n", count) + "VALUE q 0 1\r\na\r\nEND\r\n")
		c.expectEnd()
	})
}

// Such a connection ends with input unread: closing it then would discard the answers.
func TestAClientThatQuitsAndSendsMoreThanWasReadGetsItsAnswers(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		const size = 60000
		item := strings.Repeat("x", size) + "\r\n"
		h.dial().say("set q 0 0 60000\r\n"+item, "STORED\r\n")
		c := h.dial()
		c.SetReadBuffer(4096)
		c.send("set other/sync 0 0 1\r\na\r\nget q\r\nquit\r\n" +
			strings.Repeat("y", 2*classes[largest]))
		c.CloseWrite()
		eventually(t, "end of the connection", func() bool {
			return h.env.Counters.Connections.Load() == 1
		})
		c.expect("STORED\r\nVALUE q 0 60000\r\n" + item + "END\r\n")
		c.expectEnd()
	})
}

func TestAWaitEndsWhenTheClientSendsNoMore(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		c := h.dial()
		c.send("get q/t=60000\r\n")
		c.CloseWrite()
		c.expectEnd()
		h.dial().say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	})
}
