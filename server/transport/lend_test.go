package transport

// Payloads that are lent: they go to the socket from the map of their segment.

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/darner/darner/server/queue"
	"github.com/darner/darner/wal"
)

// long is the payload of item n: 60,000 bytes, of which each 16 are found once.
func long(n int) string { return fmt.Sprintf("item%04d", n) + longEnd }

var longEnd = func() string {
	var b strings.Builder
	for i := range 60000/16 - 1 {
		fmt.Fprintf(&b, "the end %08d", i)
	}
	return b.String() + "the end "
}()

// putLong fills the queue q with items that are longer than any other's answer.
func (h *harness) putLong(n int) {
	h.t.Helper()
	c := h.dial()
	for i := range n {
		c.say(fmt.Sprintf("set q 0 0 60000\r\n%s\r\n", long(i)), "STORED\r\n")
	}
}

// stuck waits until the sockets take no more of what a client does not read.
func (h *harness) stuck() {
	h.t.Helper()
	written, last, same := &h.env.Counters.BytesWritten, uint64(0), 0
	eventually(h.t, "answer that is stuck on its way", func() bool {
		if same++; written.Load() != last || last < 60000 {
			last, same = written.Load(), 0
		}
		return same == 100
	})
}

func TestASlowReaderGetsLongItemsAsTheyWere(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10)
		const count = 400 // more than the sockets hold
		h.putLong(count)
		c := h.dial()
		c.send(strings.Repeat("get q\r\n", count))
		h.stuck()
		for i := range count {
			c.expect("VALUE q 0 60000\r\n" + long(i) + "\r\nEND\r\n")
		}
		h.until("q", "end", func(s queue.Stats) bool { return s.Items == 0 && s.Open == 0 })
	})
}

// The disk fails to bring back what was verified and is on its way: here the file is cut short.
func TestAnAnswerEndsWhereAPageOfItCannotBeRead(t *testing.T) {
	both(t, func(t *testing.T, on kind) {
		h := on.listen(t, 10, func(o *wal.Options) { o.SegmentSize = 64 << 20 })
		const count = 400 // more than the sockets hold
		h.putLong(count)
		c := h.dial()
		c.send(strings.Repeat("get q\r\n", count) + "quit\r\n")
		h.stuck()
		if err := os.Truncate(filepath.Join(h.dir, "q", "00000000000000000001.seg"), 0); err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(c)
		rest, next := string(got), ""
		for i := 0; ; i++ {
			next = "VALUE q 0 60000\r\n" + long(i) + "\r\nEND\r\n"
			if !strings.HasPrefix(rest, next) {
				break
			}
			rest = rest[len(next):]
		}
		switch missed := strings.Repeat("END\r\n", len(rest)/5); {
		case on.kind == Portable && rest == missed: // the last one was copied in time
		case !strings.HasPrefix(next, rest):
			t.Errorf("got %d bytes that are not the item's, want its start and the end", len(rest))
		case !strings.Contains(h.log.String(), "cannot read an item to its end"):
			t.Errorf("got the log %q, want the reason", h.log.String())
		}
		h.until("q", "end of its connection", func(s queue.Stats) bool { return s.Open == 0 })
		h.dial().say("get q\r\nversion\r\n", "END\r\nVERSION ")
	})
}
