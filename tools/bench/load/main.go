// Command load puts one load on one server and prints the figures in a line:
// requests/s, median and 99th percentile of the latency in microseconds.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/darner/darner/tools/bench"
)

func main() {
	var l bench.Load
	flag.StringVar(&l.Addr, "addr", "127.0.0.1:22133", "`HOST:PORT` of the server")
	flag.StringVar(&l.Protocol, "protocol", "memcache", "memcache or redis")
	flag.IntVar(&l.Connections, "connections", 10, "clients, each with one request in flight")
	flag.IntVar(&l.Size, "size", 64, "bytes of an item")
	flag.DurationVar(&l.Duration, "duration", 3*time.Second, "how long")
	flag.Parse()

	r, err := bench.Run(l)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	fmt.Printf("%.0f %.1f %.1f\n", r.Rate(),
		float64(r.Latency.Quantile(0.5))/1e3, float64(r.Latency.Quantile(0.99))/1e3)
}
