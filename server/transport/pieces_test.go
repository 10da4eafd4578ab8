package transport

import (
	"fmt"
	"strings"
	"testing"
)

// The second item comes into pages of the log that one that broke off has left in memory.
func TestAnItemIsReceivedInPiecesWhateverTheyAre(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		body := strings.Repeat("0123456789abcdef", 60_000/16)
		request := fmt.Sprintf("set q 0 0 %d\r\n%s\r\n", len(body), body)
		broken := h.dial()
		broken.send(request[:40_000])
		read := &h.env.Counters.BytesRead
		eventually(t, "input", func() bool { return read.Load() >= 40_000 })
		broken.Close()
		for _, piece := range []int{len(request), 30_000, 1000, 100} {
			c := h.dial()
			for rest := request + "version\r\n"; rest != ""; {
				n := min(piece, len(rest))
				c.send(rest[:n])
				rest = rest[n:]
			}
			c.expect("STORED\r\nVERSION ")
			c.send("get q\r\n")
			c.expect(fmt.Sprintf("\r\nVALUE q 0 %d\r\n%s\r\nEND\r\n", len(body), body))
			c.Close()
		}
	})
}
