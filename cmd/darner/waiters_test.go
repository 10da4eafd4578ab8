package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

var waiterCount = flag.Int("waiters", 1000,
	"how many connections wait in TestWaitersAreServedInTheOrderTheyCame")

func TestWaitersAreServedInTheOrderTheyCame(t *testing.T) {
	count := *waiterCount
	if testing.Short() {
		count = min(count, 100)
	}
	d := launch(t, t.TempDir())
	c := d.dial()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	c.say("set q 0 0 1\r\na\r\nget q\r\n", "STORED\r\nVALUE q 0 1\r\na\r\nEND\r\n")
	waiting := make([]*talker, count)
	for i := range waiting {
		waiting[i] = d.dial()
		waiting[i].SetDeadline(time.Now().Add(5 * time.Minute))
		waiting[i].send("get q/t=60000\r\n")
		c.until("q", "waiters", strconv.Itoa(i+1))
	}
	t.Logf("%d clients wait: %d KiB of memory", count, d.memory()>>10)
	go func() { // 10,000 answers are more than the sockets hold
		var sets strings.Builder
		for i := range count {
			item := strconv.Itoa(i)
			fmt.Fprintf(&sets, "set q 0 0 %d\r\n%s\r\n", len(item), item)
		}
		io.WriteString(c, sets.String())
	}()
	c.expect(strings.Repeat("STORED\r\n", count))
	for i, w := range waiting {
		item := strconv.Itoa(i)
		w.expect(fmt.Sprintf("VALUE q 0 %d\r\n%s\r\nEND\r\n", len(item), item))
	}
	c.say("get q\r\n", "END\r\n")
	for _, w := range waiting {
		w.say("get q\r\n", "END\r\n") // and nothing came twice
	}
}
