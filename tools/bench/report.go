package bench

// What was measured, in the form of the JSON report. Tables and plots are made from its rows.

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run measured.
type Report struct {
	Machine  string    `json:"machine"`
	Time     time.Time `json:"time"`
	Servers  []Server  `json:"servers"`  // all others are compared with the first
	Size     int       `json:"size"`     // bytes of an item, unless a row has its own
	Payload  string    `json:"payload"`  // file that items were cut from, or "random bytes"
	Duration float64   `json:"duration"` // seconds of each measurement
	Rounds   int       `json:"rounds"`
	Suites   []Suite   `json:"suites"`
}

// Server is a server that was measured.
type Server struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version"`
}

// Suite is what one suite measured.
type Suite struct {
	Name string `json:"name"`
	Rows []*Row `json:"rows"`
	suite
	servers []string
}

// Row holds one server's figures for one kind of work.
type Row struct {
	Server      string `json:"server"`
	Work        string `json:"work,omitempty"`
	Connections int    `json:"connections,omitempty"`
	// Depth is the number of requests in flight on each connection.
	Depth   int     `json:"depth,omitempty"`
	Backlog *int64  `json:"backlog,omitempty"`    // items in the queue
	Size    *int    `json:"size,omitempty"`       // bytes of an item, in the suite sizes
	Asked   float64 `json:"rate_asked,omitempty"` // requests/s of an open loop
	// Rate is the number of requests/s answered: the median of the rounds.
	Rate float64 `json:"rate,omitempty"`
	// Moved is the number of payload bytes/s, in items of Size at Rate.
	Moved   float64  `json:"bytes_per_second,omitempty"`
	Latency *Latency `json:"latency_us,omitempty"` // of all rounds
	Memory  *Memory  `json:"memory_bytes,omitempty"`

	// Streamed counts bytes of large items: the median of the rounds.
	Streamed float64 `json:"streamed_bytes_per_second,omitempty"`
	// Times says how many times better the first server is: the median of the rounds.
	Times float64 `json:"times,omitempty"`

	rates, streamed []float64 // of each round
	latency         *hdrhistogram.Histogram
}

// Latency holds percentiles in microseconds, with a precision of three digits.
type Latency struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	P9999 float64 `json:"p99.99"`
	Max   float64 `json:"max"`
}

// add adds a round: its rate, and latencies of its requests.
func (r *Row) add(of result, latencies ...*hdrhistogram.Histogram) {
	if r.latency == nil {
		r.latency = newResult().set
	}
	for _, h := range latencies {
		r.latency.Merge(h)
	}
	r.rates = append(r.rates, of.rate())
}

// finish computes what is reported from the rounds.
func (r *Row) finish() {
	r.Rate, r.Streamed = median(r.rates), median(r.streamed)
	if r.Size != nil {
		r.Moved = r.Rate * float64(*r.Size)
	}
	if h := r.latency; h != nil {
		us := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
		r.Latency = &Latency{us(50), us(90), us(99), us(99.9), us(99.99), float64(h.Max()) / 1e3}
	}
}

// compare finishes all rows and compares them with those of the first server.
func (s *Suite) compare() {
	for _, r := range s.Rows {
		r.finish()
	}
	for _, r := range s.Rows {
		if base := s.base(r); base != nil && base != r {
			r.Times = s.times(base, r)
		}
	}
}

// base returns the first server's row for the same work, or nil.
func (s *Suite) base(r *Row) *Row {
	i := slices.IndexFunc(s.Rows, func(o *Row) bool {
		return o.Server == s.servers[0] && o.Work == r.Work && o.Connections == r.Connections &&
			o.Depth == r.Depth && o.Asked == r.Asked &&
			same(r.Backlog, o.Backlog) && same(r.Size, o.Size)
	})
	if i < 0 {
		return nil
	}
	return s.Rows[i]
}

// same reports whether two figures are both missing, or both present and equal.
func same[T comparable](a, b *T) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

// times returns how many times better base is.
func (s *Suite) times(base, r *Row) float64 {
	if s.better != nil {
		return s.better(base) / s.better(r)
	}
	var ratios []float64
	for i := range base.rates {
		ratios = append(ratios, base.rates[i]/max(r.rates[i], 1e-9))
	}
	return median(ratios)
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (b *bench) report() *Report {
	r := &Report{Machine: machine(), Time: time.Now().UTC().Truncate(time.Second), Size: b.Size,
		Payload: b.Payload, Duration: b.Duration.Seconds(), Rounds: b.Rounds, Suites: []Suite{}}
	if r.Payload == "" {
		r.Payload = "random bytes"
	}
	for _, t := range b.targets {
		r.Servers = append(r.Servers, Server{t.name, t.address, t.version})
	}
	return r
}

// heading describes the machine, the servers and the items, for above the tables of some suites.
func (r *Report) heading(names []string) string {
	size := fmt.Sprintf("%d bytes", r.Size)
	if slices.Equal(names, []string{"sizes"}) {
		size = "many sizes"
	}
	var servers []string
	for _, s := range r.Servers {
		servers = append(servers, s.Name+" "+s.Version)
	}
	return fmt.Sprintf("%s;\n%s.\nItems of %s (%s); rounds: %d, of %v s for each measurement.",
		r.Machine, strings.Join(servers, ", "), size, r.Payload, r.Rounds, r.Duration)
}

// machine describes the machine that this runs on: the one that puts the load on the servers.
func machine() string {
	model := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
		}
	}
	system := runtime.GOOS
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system = "Linux " + strings.TrimSpace(string(release))
	}
	return fmt.Sprintf("%d cores (%s), %s, %s", runtime.NumCPU(), model, system, runtime.Version())
}
