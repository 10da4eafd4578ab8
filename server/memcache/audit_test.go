package memcache

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/darner/darner/server/metrics"
	"github.com/darner/darner/server/queue"
)

// logged has the server log into the buffer that is returned.
func logged() (*bytes.Buffer, func(*testServer)) {
	b := new(bytes.Buffer)
	return b, func(sv *testServer) {
		sv.env.Logger = slog.New(slog.NewTextHandler(b, nil))
		sv.env.Episodes = metrics.NewEpisodes(sv.clock, sv.env.Logger)
	}
}

func TestWhoDiscardsAQueueIsLogged(t *testing.T) {
	b, with := logged()
	sv := newServer(t, with)
	c := sv.dial()
	c.s.peer.Addr = "192.0.2.7:5000"
	c.set("a", "1", "2")
	c.set("b", "1")
	for _, of := range [][2]string{
		{"flush a", `msg="queue is flushed" queue=a items=2 peer=192.0.2.7:5000`},
		{"delete b", `msg="queue is deleted" queue=b items=1 peer=192.0.2.7:5000`},
		{"flush_all", `msg="all queues are flushed" peer=192.0.2.7:5000`},
		{"flush_all 30", `msg="all queues will be flushed" in=30s peer=192.0.2.7:5000`},
	} {
		request, want := of[0], of[1]
		b.Reset()
		c.ask("%s\r\n", request)
		if strings.Count(b.String(), "\n") != 1 || !strings.Contains(b.String(), want) {
			t.Errorf("%s: got %q, want one line with %q", request, b, want)
		}
	}
	b.Reset()
	if c.ask("flush nosuch\r\ndelete nosuch\r\n"); b.Len() > 0 {
		t.Errorf("got %q for queues that there are not, want nothing", b)
	}
}

func TestAClientThatFlushesForEverDoesNotFillTheLog(t *testing.T) {
	b, with := logged()
	sv := newServer(t, with)
	c := sv.dial()
	c.set("a", "1")
	const flushes = mostAudited + 1000
	for range flushes {
		c.expect("flush a\r\n", "END\r\n")
	}
	if n := strings.Count(b.String(), "queue is flushed"); n != mostAudited {
		t.Errorf("got %d lines of %d flushes, want %d", n, flushes, mostAudited)
	}
	b.Reset()
	sv.clock.Step(time.Minute)
	want := fmt.Sprint("administrators' commands are too many to log each\" count=", flushes-mostAudited)
	if !strings.Contains(b.String(), want) {
		t.Errorf("got %q, want %q in it", b, want)
	}
	b.Reset()
	if c.ask("flush a\r\n"); !strings.Contains(b.String(), "queue is flushed") {
		t.Errorf("got %q in the next minute, want a line again", b)
	}
}

func TestAnItemThatIsTooLargeIsToldWithItsSize(t *testing.T) {
	err := tooLarge{size: 9, most: 8}
	const want = "an item of 9 bytes is over max-item-size, which is 8"
	if got := queue.RefusalOf(err); got != metrics.TooLarge || err.Error() != want {
		t.Errorf("got %v, %s, want %v, %s", got, err, metrics.TooLarge, want)
	}
}
