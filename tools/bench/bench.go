// Package bench puts load on queue servers and measures what they answer. The same small closed
// loop drives every protocol, so that servers can be held against each other.
package bench

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Load is the work of one run: every connection sets an item and gets one back, over and over,
// one request in flight at a time. All share one queue, which nobody else may use meanwhile.
type Load struct {
	Addr        string        // HOST:PORT of the server
	Protocol    string        // "memcache" or "redis"
	Connections int           // at least 1
	Size        int           // bytes of an item
	Duration    time.Duration // how long
}

// Result is what a run measured. Half of the requests are sets, half are gets.
type Result struct {
	Requests int           // answered
	Elapsed  time.Duration // from the first request to the last answer
	Latency  Histogram     // from writing a request to having the whole of its answer
}

// Rate is the requests answered per second.
func (r Result) Rate() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// Run connects, puts the load on and waits for the end of it. An answer that is not the expected
// one ends the run with an error that quotes it.
func Run(l Load) (Result, error) {
	d, err := newDialect(l.Protocol, "bench", l.Size)
	if err != nil {
		return Result{}, err
	}
	clients := make([]client, l.Connections)
	defer func() {
		for _, c := range clients {
			if c.conn != nil {
				c.conn.Close()
			}
		}
	}()
	for i := range clients {
		clients[i].dialect = d
		if clients[i].conn, err = net.Dial("tcp", l.Addr); err != nil {
			return Result{}, fmt.Errorf("connection %d of %d: %w", i+1, l.Connections, err)
		}
	}

	start := time.Now()
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() { clients[i].run(start.Add(l.Duration)) })
	}
	running.Wait()

	r := Result{Elapsed: time.Since(start)}
	var errs []error
	for i := range clients {
		r.Latency.Merge(&clients[i].latency)
		if clients[i].err != nil && len(errs) < 3 { // one tells as much as a thousand
			errs = append(errs, clients[i].err)
		}
	}
	r.Requests = r.Latency.Count()
	return r, errors.Join(errs...)
}
