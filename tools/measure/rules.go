package main

// What a great many items that become due, or expire, at one moment cost: memory, time, and the
// answers of somebody else meanwhile.

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// settleIn is how long after the first item is put all become due, or expire.
const settleIn = time.Minute

// rules shows that for a million delayed items, and for as many expiring ones as -items says.
func rules() {
	fmt.Print("| items | put in | RssAnon | most | settled after | others' longest answer |\n",
		"|---|---:|---:|---:|---:|---:|\n")
	const delayed = 1_000_000
	at := func(ms int64) string { return fmt.Sprintf("set q/delay=%d 0 0 20\r\n%020d\r\n", ms, 0) }
	settle(fmt.Sprint(delayed, " become due"), delayed, "delayed_items", func(due time.Time) string {
		return at(max(1, time.Until(due).Milliseconds()))
	})
	settle(fmt.Sprint(*items, " expire"), *items, "items", func(due time.Time) string {
		return fmt.Sprintf("set q 0 %d 20\r\n%020d\r\n", due.Unix(), 0)
	})
}

// settle puts n items and waits until a figure of their queue is 0.
func settle(what string, n int, figure string, set func(due time.Time) string) {
	inDir(func(data string) {
		s := launch(data)
		defer func() { s.Kill() }()
		began := time.Now()
		due := began.Add(settleIn).Truncate(time.Second)
		const batch = 1000
		for left := n; left > 0; left -= batch {
			s.flood(min(left, batch), set(due), stored)
		}
		took, filled := time.Since(began), s.megabytes()
		time.Sleep(time.Until(due))
		o := beside(s.Addr)
		most, after := filled, time.Duration(0)
		for s.figure("q", figure) > 0 {
			time.Sleep(10 * time.Millisecond)
			most, after = max(most, s.megabytes()), time.Since(due)
		}
		longest := o.stop()
		fmt.Printf("| %s | %.1f s | %.1f MB | %.1f MB | %.1f s | %d ms |\n", what, took.Seconds(),
			filled, max(most, s.megabytes()), after.Seconds(), longest.Milliseconds())
	})
}

// figure is one of a queue's.
func (c *client) figure(queue, name string) (n int) {
	c.send("stats queue " + queue + "\r\n")
	want := fmt.Appendf(nil, "STAT queue_%s_%s ", queue, name)
	for {
		line, err := c.r.ReadBytes('\n')
		check(err)
		if value, ok := bytes.CutPrefix(line, want); ok {
			_, err := fmt.Sscan(string(value), &n)
			check(err)
		}
		if string(line) == "END\r\n" {
			return n
		}
	}
}

// other is somebody who sets and gets an item at a time in another queue.
type other struct {
	ends    chan bool
	done    sync.WaitGroup
	longest time.Duration
	err     error
}

func beside(addr string) *other {
	o := &other{ends: make(chan bool)}
	o.done.Go(func() {
		o.err = try(func() {
			c := dial(addr)
			defer c.conn.Close()
			for {
				select {
				case <-o.ends:
					return
				case <-time.After(time.Millisecond):
				}
				began := time.Now()
				c.fill("other", 1, 64)
				c.drain("other", 1, 64)
				o.longest = max(o.longest, time.Since(began)/2)
			}
		})
	})
	return o
}

// stop returns the longest answer.
func (o *other) stop() time.Duration {
	close(o.ends)
	o.done.Wait()
	check(o.err)
	return o.longest
}
