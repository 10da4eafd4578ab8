package main

// Many clients that go from queue to queue. Run it under a limit of open files, as in
// "(ulimit -n 1024; measure roam)", to see how clients and queues share what there is.

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	roamRequests = 100_000 // in all, half of them sets
	roamSize     = 64      // bytes in an item
)

// roam shows what a request costs with ever more queues.
func roam() {
	var files syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	fmt.Printf("%d open files at most\n\n", files.Max)
	fmt.Print("| queues | CPU time each | requests/s | longest answer |\n|---:|---:|---:|---:|\n")
	for n := 1; n <= *count; n *= 10 {
		inDir(func(data string) {
			s := launch(data)
			defer s.Kill()
			r := roaming{addr: s.Addr, queues: n, connections: *connections}
			if r.connections == 0 {
				r.connections = n
			}
			r.visit(n) // makes each queue
			r.longest.Store(0)
			cpu, began := s.CPU(), time.Now()
			r.visit(roamRequests / 2)
			took := time.Since(began)
			fmt.Printf("| %d | %.1f µs | %.0f | %d ms |\n", n,
				float64((s.CPU()-cpu).Nanoseconds())/1e3/roamRequests,
				roamRequests/took.Seconds(), time.Duration(r.longest.Load()).Milliseconds())
		})
	}
}

// roaming is a walk of many connections over the queues of a server.
type roaming struct {
	addr                string
	queues, connections int          // one request is in flight on each connection
	next                atomic.Int64 // the visit to come
	longest             atomic.Int64 // answer, in ns
}

// visit sets and gets an item n times, each in the queue after the last one.
func (r *roaming) visit(n int) {
	var all sync.WaitGroup
	errs := make(chan error, r.connections)
	r.next.Store(0)
	for range r.connections {
		all.Go(func() {
			errs <- try(func() {
				c := dial(r.addr)
				defer c.conn.Close()
				for at := r.next.Add(1); at <= int64(n); at = r.next.Add(1) {
					queue := fmt.Sprintf("q%06d", at%int64(r.queues))
					r.ask(c, setOf(queue, roamSize), stored)
					r.ask(c, "get "+queue+"\r\n", valueOf(queue, roamSize))
				}
			})
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		check(err)
	}
}

// ask sends a request and reads an answer of that many bytes.
func (r *roaming) ask(c *client, request string, answer int) {
	began := time.Now()
	c.send(request)
	_, err := io.CopyN(io.Discard, c.r, int64(answer))
	check(err)
	for took := int64(time.Since(began)); ; {
		longest := r.longest.Load()
		if took <= longest || r.longest.CompareAndSwap(longest, took) {
			return
		}
	}
}
