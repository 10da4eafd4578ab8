package bench

// What was measured, as JSON has it: rows that a table or a plot is made of.

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run found.
type Report struct {
	Machine  string    `json:"machine"`
	Time     time.Time `json:"time"`
	Servers  []Server  `json:"servers"`  // all others are compared with the first
	Size     int       `json:"size"`     // bytes of an item, where a row has no other
	Payload  string    `json:"payload"`  // file that the items are from, or "random bytes"
	Duration float64   `json:"duration"` // seconds of each measurement
	Rounds   int       `json:"rounds"`
	Suites   []Suite   `json:"suites"`
}

// Server is one that was measured.
type Server struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version"`
}

// Suite is what one suite found.
type Suite struct {
	Name string `json:"name"`
	Rows []*Row `json:"rows"`
	suite
	servers []string
}

// Row is one server's figures for one work.
type Row struct {
	Server      string   `json:"server"`
	Work        string   `json:"work,omitempty"`
	Connections int      `json:"connections,omitempty"`
	Depth       int      `json:"depth,omitempty"`            // requests in flight on each
	Backlog     *int64   `json:"backlog,omitempty"`          // items in the queue
	Size        *int     `json:"size,omitempty"`             // bytes of an item, where the suite has sizes of its own
	Asked       float64  `json:"rate_asked,omitempty"`       // requests/s of an open loop
	Rate        float64  `json:"rate,omitempty"`             // requests/s answered; the median of the rounds
	Moved       float64  `json:"bytes_per_second,omitempty"` // in items of Size, at that rate
	Latency     *Latency `json:"latency_us,omitempty"`       // of all rounds together
	Memory      *Memory  `json:"memory_bytes,omitempty"`
	Streamed    float64  `json:"streamed_bytes_per_second,omitempty"` // in large items; the median of the rounds
	Times       float64  `json:"times,omitempty"`                     // how many times better the first server is; the median of the rounds

	rates, streamed []float64 // of the rounds
	latency         *hdrhistogram.Histogram
}

// Latency is in microseconds, to three digits.
type Latency struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	P9999 float64 `json:"p99.99"`
	Max   float64 `json:"max"`
}

// add adds a round: its rate, and the latencies of some of its requests.
func (r *Row) add(of result, latencies ...*hdrhistogram.Histogram) {
	if r.latency == nil {
		r.latency = newResult().set
	}
	for _, h := range latencies {
		r.latency.Merge(h)
	}
	r.rates = append(r.rates, of.rate())
}

// finish makes of the rounds what is reported.
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

// compare finishes all rows and holds them against the first server's.
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

// base is the row of the first server for the same work, nil if there is none.
func (s *Suite) base(r *Row) *Row {
	i := slices.IndexFunc(s.Rows, func(o *Row) bool {
		return o.Server == s.servers[0] && o.Work == r.Work && o.Connections == r.Connections && o.Depth == r.Depth && o.Asked == r.Asked &&
			same(r.Backlog, o.Backlog) && same(r.Size, o.Size)
	})
	if i < 0 {
		return nil
	}
	return s.Rows[i]
}

// same reports whether two figures are both missing, or both there and equal.
func same[T comparable](a, b *T) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

// times is how many times better base is.
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
	r := &Report{Machine: machine(), Time: time.Now().UTC().Truncate(time.Second), Size: b.Size, Payload: b.Payload,
		Duration: b.Duration.Seconds(), Rounds: b.Rounds, Suites: []Suite{}}
	if r.Payload == "" {
		r.Payload = "random bytes"
	}
	for _, t := range b.targets {
		r.Servers = append(r.Servers, Server{t.name, t.address, t.version})
	}
	return r
}

// heading is what has to be known of the tables of some suites.
func (r *Report) heading(names []string) string {
	size := fmt.Sprintf("%d bytes", r.Size)
	if slices.Equal(names, []string{"sizes"}) {
		size = "many sizes"
	}
	var servers []string
	for _, s := range r.Servers {
		servers = append(servers, s.Name+" "+s.Version)
	}
	return fmt.Sprintf("%s; %s.\nItems of %s (%s); rounds: %d, of %v s for each measurement.",
		r.Machine, strings.Join(servers, ", "), size, r.Payload, r.Rounds, r.Duration)
}

// machine is what runs this, the load at least.
func machine() string {
	model := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
		}
	}
	system := runtime.GOOS
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system = "Linux " + strings.TrimSpace(string(release))
	}
	return fmt.Sprintf("%d cores (%s), %s, %s", runtime.NumCPU(), model, system, runtime.Version())
}
