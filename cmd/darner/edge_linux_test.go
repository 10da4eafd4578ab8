package main

// What a server costs a small machine: memory, wake-ups, writes. tools/measure measures it in full.

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	backlog     = flag.Int("backlog", 300_000, "items in TestMemoryDoesNotDependOnTheBacklog")
	silentCount = flag.Int("silent", 1000,
		"connections in TestASilentConnectionCostsLittle, 1000 at least")
	idleTime = flag.Duration("idle", time.Second, "how long TestAnIdleServerDoesNothing looks; from a minute on it has the queue parked first")
)

// fill sets n items of 300 bytes, many in flight.
func (c *talker) fill(queue string, n int) {
	c.t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Minute))
	const batch = 500
	text := strings.Repeat(fmt.Sprintf("set %s 0 0 300\r\n%0300d\r\n", queue, 0), batch)
	answer := strings.Repeat("STORED\r\n", batch)
	for ; n >= batch; n -= batch {
		c.say(text, answer)
	}
	c.say(text[:len(text)/batch*n], answer[:len(answer)/batch*n])
}

func TestMemoryDoesNotDependOnTheBacklog(t *testing.T) {
	memory := func(items int) (filled, drained int64) {
		d := launch(t, t.TempDir())
		c := d.dial()
		c.fill("q", items)
		filled = d.memory()
		d.stop(os.Interrupt)
		d = launch(t, d.data())
		c = d.dial()
		c.SetDeadline(time.Now().Add(10 * time.Minute))
		const batch = 500
		get, item := "get q\r\n", fmt.Sprintf("VALUE q 0 300\r\n%0300d\r\nEND\r\n", 0)
		for ; items > 0; items -= batch {
			c.say(strings.Repeat(get, batch), strings.Repeat(item, batch))
		}
		return filled, d.memory()
	}
	filled, drained := memory(3000)
	filledMore, drainedMore := memory(*backlog / 500 * 500)
	t.Logf("filled %d and %d KiB, drained %d and %d KiB", filled>>10, filledMore>>10, drained>>10,
		drainedMore>>10)
	const slack = 8 << 20 // garbage
	if filledMore > filled+slack || drainedMore > drained+slack ||
		max(filledMore, drainedMore) > 24e6 {
		t.Error("the backlog costs memory")
	}
}

// data is the server's data directory.
func (d *daemon) data() string { return d.Cmd.Args[2] }

func TestASilentConnectionCostsLittle(t *testing.T) {
	for what, request := range map[string]string{"a request each": "set q 0 0 1\r\na\r\n",
		"a wait each": "get w/t=600000\r\n"} {
		d := launch(t, t.TempDir(), "--max-connections", strconv.Itoa(*silentCount+10))
		before := d.memory()
		for range *silentCount {
			c := d.dial()
			c.SetDeadline(time.Time{})
			c.send(request)
		}
		const each, slack = 1536, 1 << 20
		most := before + slack + int64(*silentCount)*each
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(limit); d.memory() > most; <-tick.C {
			if time.Now().After(end) {
				t.Fatalf("%s: got %d bytes a connection, want %d", what,
					(d.memory()-before)/int64(*silentCount), each)
			}
		}
		t.Logf("%d connections after %s: %d KiB, %d at first", *silentCount, what, d.memory()>>10,
			before>>10)
	}
}

func TestAnIdleServerDoesNothing(t *testing.T) {
	data := t.TempDir()
	d := launch(t, data, "--sync", "20ms")
	c, waits := d.dial(), d.dial()
	c.say("set q 0 0 1\r\na\r\nget q\r\nset q 0 0 1\r\na\r\n",
		"STORED\r\nVALUE q 0 1\r\na\r\nEND\r\nSTORED\r\n")
	waits.send("get w/t=3600000\r\n")
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for *idleTime >= time.Minute && d.holds(data) {
		<-tick.C
	}
	d.untilQuiet(tick, *idleTime)
}

// untilQuiet waits for a span of time in which the server writes nothing and hardly wakes. That may
// take a moment, because connections release memory first.
func (d *daemon) untilQuiet(tick *time.Ticker, span time.Duration) {
	d.t.Helper()
	const seldom = 10
	for end := time.Now().Add(limit + span); ; {
		began, slept, written := time.Now(), d.Sleeps(), d.Written()
		for time.Since(began) < span {
			<-tick.C
		}
		woke, wrote := d.Sleeps()-slept, d.Written()-written
		if wrote == 0 && woke <= seldom {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("got %d wake-ups and %d bytes written in an idle %v, want %d and 0", woke,
				wrote, span, seldom)
		}
	}
}

// holds reports whether the server has a file of a queue open or mapped.
func (d *daemon) holds(data string) bool {
	open, mapped := d.Holds(data + "/q")
	return open+mapped > 0
}
