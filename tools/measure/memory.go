package main

// Memory for a backlog, for idle connections and for idle queues.

import (
	"fmt"
	"syscall"
	"time"
)

// memory shows that memory does not depend on the length of the backlog.
func memory() {
	fmt.Print("| items | bytes each | filled | half drained | drained | restarted, first get |\n",
		"|---:|---:|---:|---:|---:|---:|\n")
	for _, n := range []int{10_000, *items} {
		inDir(func(data string) {
			s := launch(data)
			defer func() { s.Kill() }()
			s.fill("q", n, *size)
			filled := s.megabytes()
			s.restart(syscall.SIGTERM, data)
			s.drain("q", 1, *size)
			restarted := s.megabytes()
			s.drain("q", n/2-1, *size)
			half := s.megabytes()
			s.drain("q", n-n/2, *size)
			fmt.Printf("| %d | %d | %.1f MB | %.1f MB | %.1f MB | %.1f MB |\n", n, *size, filled,
				half, s.megabytes(), restarted)
		})
	}
}

// releaseTime is long enough for a server to release the memory of idle connections.
const releaseTime = 10 * time.Second

// clients shows what idle and waiting connections cost.
func clients() {
	fmt.Printf("| %d connections that | RssAnon | each |\n|---|---:|---:|\n", *count)
	chat := func(n, size int) func(*client) {
		return func(c *client) {
			for range n {
				c.fill("q", 1, size)
				c.drain("q", 1, size)
			}
		}
	}
	for _, k := range []struct {
		what string
		talk func(*client)
	}{
		{"never sent anything", func(*client) {}},
		{"set and got 10 items, then fell silent", chat(10, 300)},
		{"set and got items of 8 KiB, then fell silent", chat(3, 8<<10)},
		{"wait in a get", func(c *client) { c.send("get w/t=600000\r\n") }},
	} {
		inDir(func(data string) {
			s := launch(data)
			defer s.Kill()
			before := s.megabytes()
			for range *count {
				c := dial(s.Addr)
				defer c.conn.Close()
				k.talk(c)
			}
			time.Sleep(releaseTime)
			after := s.megabytes()
			fmt.Printf("| %s | %.1f MB | %.1f KB |\n", k.what, after,
				(after-before)*1e3/float64(*count))
		})
	}
}

// parkTime is long enough for the server to park a queue that nobody uses.
const parkTime = 95 * time.Second

// queues shows what many queues cost, in use and parked, and how long a restart takes with them.
func queues() {
	inDir(func(data string) {
		n := *count
		name := func(i int) string { return fmt.Sprintf("queue-%06d", i) }
		s := launch(data)
		defer func() { s.Kill() }()
		const inFlight = 100
		for i := 0; i < n; i += inFlight {
			request, answer := "", 0
			for j := i; j < min(i+inFlight, n); j++ {
				request, answer = request+setOf(name(j), *size), answer+stored
			}
			s.flood(1, request, answer)
		}
		made := s.megabytes()
		time.Sleep(parkTime)
		parked := s.megabytes()
		open, mapped := s.Holds(data)
		s.restart(syscall.SIGTERM, data)
		restarted := s.megabytes()
		began := time.Now()
		s.drain(name(n/2), 1, *size)
		first := time.Since(began)
		fmt.Printf("| %d queues, page cache %s | |\n|---|---:|\n", n, cache())
		fmt.Printf("| RssAnon when each had been set an item | %.1f MB |\n", made)
		fmt.Printf("| a minute and a half later, all parked | %.1f MB |\n", parked)
		fmt.Printf("| files open, files mapped then | %d, %d |\n", open, mapped)
		fmt.Printf("| after a restart | %.1f MB |\n", restarted)
		fmt.Printf("| from exec to the first answer, its CPU time | %d ms, %d ms |\n",
			s.ready.Milliseconds(), s.work.Milliseconds())
		fmt.Printf("| first get of one of them | %.1f ms |\n", first.Seconds()*1e3)
	})
}
