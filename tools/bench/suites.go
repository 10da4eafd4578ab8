package bench

// What the suites measure, and what their tables and plots show.

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// suite is one benchmark.
type suite struct {
	name, title string
	run         func(context.Context, *bench) ([]*Row, error)
	columns     []column
	plot        plotted

	// better returns the figure that servers are compared by: more is better. If it is nil, rates
	// are compared round by round.
	better func(*Row) float64
}

var suites = []suite{
	{
		name: "flood", title: "requests per second",
		run:     flood,
		columns: []column{work, connections, depth, server, rate, p50, p99, times},
		plot: plotted{x: "connections", y: "requests/s",
			points: rateBy(func(r *Row) int64 { return int64(r.Connections) })},
	}, {
		name: "packing", title: "requests per second against backlog",
		run:     packing,
		columns: []column{backlog, server, rate, p50, p99, times},
		plot: plotted{x: "items in the queue", y: "requests/s",
			points: rateBy(func(r *Row) int64 { return *r.Backlog })},
	}, {
		name: "sizes", title: "throughput against item size",
		run:     sizesSuite,
		columns: []column{size, server, rate, moved, p50, p99, times},
		plot: plotted{x: "bytes of an item", y: "per second", log: true,
			points: func(r *Row) []point {
				// 64 or 4K: short enough for nine labels beside each other.
				at := strings.NewReplacer(" ", "", "iB", "", "B", "").
					Replace(bytes1024(int64(*r.Size)))
				return []point{{"requests", r.Server, at, r.Rate},
					{"MB", r.Server, at, r.Moved / 1e6}}
			}},
	}, {
		name: "fairness", title: "latency while others move large items",
		run:     fairness,
		columns: []column{work, server, p50, p99, p999, slowest, streamed, times},
		better:  betterP99,
		plot:    plotted{x: "percentile", y: "ms", log: true, points: percentilesOf},
	}, {
		name: "memory", title: "memory against backlog",
		run:     memorySuite,
		columns: []column{backlog, server, anonymous, resident, times},
		better:  func(r *Row) float64 { return 1 / float64(max(r.Memory.Anonymous, 1)) },
		plot: plotted{x: "items in the queue", y: "MiB, anonymous", log: true,
			points: func(r *Row) []point {
				return []point{{"", r.Server, abbreviate(*r.Backlog),
					float64(r.Memory.Anonymous) / (1 << 20)}}
			}},
	}, {
		name: "latency", title: "latency at a fixed rate",
		run:     latency,
		columns: []column{work, asked, server, rate, p50, p90, p99, p999, p9999, slowest, times},
		better:  betterP99,
		plot:    plotted{x: "percentile", y: "ms", log: true, points: percentilesOf},
	},
}

func betterP99(r *Row) float64 { return 1 / max(r.Latency.P99, 0.001) }

// rateBy plots requests per second, with a panel for each kind of work and each depth.
func rateBy(x func(*Row) int64) func(*Row) []point {
	return func(r *Row) []point {
		return []point{{fmt.Sprintf("%s, %d in flight", r.Work, r.Depth), r.Server,
			abbreviate(x(r)), r.Rate}}
	}
}

// percentilesOf plots how latency grows towards the slowest requests.
func percentilesOf(r *Row) []point {
	panel := r.Work
	if r.Asked > 0 {
		panel += fmt.Sprintf(", %s/s", abbreviate(int64(r.Asked)))
	}
	l := r.Latency
	var points []point
	for _, p := range []struct {
		name string
		us   float64
	}{{"50", l.P50}, {"90", l.P90}, {"99", l.P99}, {"99.9", l.P999}, {"99.99", l.P9999},
		{"max", l.Max}} {
		points = append(points, point{panel, r.Server, p.name, p.us / 1e3})
	}
	return points
}

// flood sends requests as fast as answers come: sets and gets in turn, sets alone, and then gets of
// what these sets left.
func flood(ctx context.Context, b *bench) ([]*Row, error) {
	depths, counts := b.Depth, b.Connections
	if len(depths) == 0 {
		depths = []int{1, 32}
	}
	if len(counts) == 0 {
		counts = []int{1, 10, 100}
	}
	var all []*Row
	for _, depth := range depths {
		for _, conns := range counts {
			row := Row{Connections: conns, Depth: depth}
			both, sets, gets := b.rows("set and get", row), b.rows("set", row), b.rows("get", row)
			err := b.turns(func(i, round int) error {
				b.say("flood: %s, %d connections, %d in flight, round %d", b.targets[i].name, conns,
					depth, round)
				return b.floodOne(ctx, i, load{conns: conns, depth: depth}, both[i],
					sets[i], gets[i])
			})
			if err != nil {
				return nil, err
			}
			all = append(append(append(all, both...), sets...), gets...)
		}
	}
	return all, nil
}

// floodOne is one server's turn of flood.
func (b *bench) floodOne(ctx context.Context, i int, l load, both, set, get *Row) error {
	l.mix, l.duration = pairs, b.Duration
	r, err := b.runLoad(ctx, b.targets[i], l)
	if err != nil {
		return err
	}
	both.add(r, r.set, r.get)
	l.mix = sets
	if r, err = b.runLoad(ctx, b.targets[i], l); err != nil {
		return err
	}
	set.add(r, r.set)
	l.mix, l.duration, l.count = gets, 0, r.answered()
	if r, err = b.runLoad(ctx, b.targets[i], l); err != nil {
		return err
	}
	get.add(r, r.get)
	return nil
}

// packing floods queues that hold more and more items.
func packing(ctx context.Context, b *bench) ([]*Row, error) {
	l := load{mix: pairs, conns: firstOr(b.Connections, 10), depth: firstOr(b.Depth, 32),
		duration: b.Duration}
	return b.withBacklog(ctx, "packing", func(rows []*Row) error {
		for _, r := range rows {
			r.Work, r.Connections, r.Depth = "set and get", l.conns, l.depth
		}
		return b.turns(func(i, round int) error {
			t := b.rowOf(rows, i)
			if t == nil {
				return nil
			}
			b.say("packing: %s, %d items, round %d", b.targets[i].name, *t.Backlog, round)
			r, err := b.runLoad(ctx, b.targets[i], l)
			if err == nil {
				t.add(r, r.set, r.get)
			}
			return err
		})
	})
}

// sizesSuite floods with items of each size.
func sizesSuite(ctx context.Context, b *bench) ([]*Row, error) {
	l := load{mix: pairs, conns: firstOr(b.Connections, 10), depth: firstOr(b.Depth, 1),
		duration: b.Duration, queue: b.Queue}
	var all []*Row
	for _, size := range b.Sizes {
		from, err := payload(b.Payload, size)
		if err != nil {
			return nil, err
		}
		l.items = newItems(from, size)
		rows := b.rows("set and get", Row{Connections: l.conns, Depth: l.depth, Size: &size})
		err = b.turns(func(i, round int) error {
			b.say("sizes: %s, %s, round %d", b.targets[i].name, bytes1024(int64(size)), round)
			r, err := b.runLoad(ctx, b.targets[i], l)
			if err == nil {
				rows[i].add(r, r.set, r.get)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// memorySuite measures the memory of the process with each backlog.
func memorySuite(ctx context.Context, b *bench) ([]*Row, error) {
	return b.withBacklog(ctx, "memory", func(rows []*Row) error {
		for i, t := range b.targets {
			if row := b.rowOf(rows, i); row != nil {
				m, err := t.memory(ctx)
				if err != nil {
					return err
				}
				row.Memory = &m
			}
		}
		return nil
	})
}

// withBacklog fills the queue of every server to each backlog, and measures there. It leaves out
// caches, which have no backlog.
func (b *bench) withBacklog(ctx context.Context, suite string,
	measure func([]*Row) error) ([]*Row, error) {
	var all []*Row
	have := int64(0)
	for _, n := range b.Backlog {
		var rows []*Row
		for _, t := range b.targets {
			if t.cache {
				continue
			}
			if err := b.fill(ctx, suite, t, have, n); err != nil {
				return nil, err
			}
			rows = append(rows, &Row{Server: t.name, Backlog: &n})
		}
		if err := measure(rows); err != nil {
			return nil, err
		}
		have, all = n, append(all, rows...)
	}
	return all, nil
}

// fill fills a queue that holds from items until it holds to items, in steps that progress shows.
func (b *bench) fill(ctx context.Context, suite string, t *target, from, to int64) error {
	for step := int64(0); from < to; from += step {
		step = min(to-from, 200_000)
		b.say("%s: filling %s, %d of %d", suite, t.name, from, to)
		l := load{mix: sets, conns: 10, depth: 32, count: step}
		if _, err := b.runLoad(ctx, t, l); err != nil {
			return err
		}
	}
	return nil
}

// fairness sends requests at a low, fixed rate, first alone and then while other connections set
// and get large items on another queue.
func fairness(ctx context.Context, b *bench) ([]*Row, error) {
	if b.large == nil {
		b.large = newItems(random(max(b.Large, 1)), b.Large)
	}
	small := load{mix: pairs, conns: firstOr(b.Connections, 10), depth: firstOr(b.Depth, 1),
		duration: b.Duration, rate: firstOr(b.Rate, 1000)}
	streams := load{mix: pairs, conns: b.Streams, depth: 1, duration: b.Duration,
		queue: b.Queue + "-large", items: b.large}
	var all []*Row
	for _, beside := range []string{"alone",
		fmt.Sprintf("beside %d × %s", b.Streams, bytes1024(int64(b.Large)))} {
		row := Row{Connections: small.conns, Depth: small.depth, Asked: small.rate}
		set, get := b.rows("set, "+beside, row), b.rows("get, "+beside, row)
		err := b.turns(func(i, round int) error {
			b.say("fairness: %s, %s, round %d", b.targets[i].name, beside, round)
			if beside == "alone" {
				r, err := b.runLoad(ctx, b.targets[i], small)
				set[i].add(r, r.set)
				get[i].add(r, r.get)
				return err
			}
			r, moved, err := b.both(ctx, b.targets[i], small, streams)
			set[i].add(r, r.set)
			get[i].add(r, r.get)
			for _, row := range []*Row{set[i], get[i]} {
				row.streamed = append(row.streamed, moved.rate()*float64(b.Large))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(append(all, set...), get...)
	}
	return all, nil
}

// both puts two loads on a server at the same time. An error of either ends both.
func (b *bench) both(ctx context.Context, t *target, one, other load) (r, o result, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	running.Go(func() {
		var err error
		if o, err = b.runLoad(ctx, t, other); err != nil {
			cancel(err)
		}
	})
	r, err = b.runLoad(ctx, t, one)
	if err != nil {
		cancel(err)
	}
	running.Wait()
	return r, o, context.Cause(ctx)
}

// latency sends requests at fixed rates, however fast the server answers.
func latency(ctx context.Context, b *bench) ([]*Row, error) {
	l := load{mix: pairs, conns: firstOr(b.Connections, 10), depth: firstOr(b.Depth, 32),
		duration: b.Duration}
	var all []*Row
	for _, rate := range b.Rate {
		l.rate = rate
		row := Row{Connections: l.conns, Depth: l.depth, Asked: rate}
		set, get := b.rows("set", row), b.rows("get", row)
		err := b.turns(func(i, round int) error {
			b.say("latency: %s, %s requests/s, round %d", b.targets[i].name,
				abbreviate(int64(rate)), round)
			r, err := b.runLoad(ctx, b.targets[i], l)
			set[i].add(r, r.set)
			get[i].add(r, r.get)
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(append(all, set...), get...)
	}
	return all, nil
}

// turns calls measure for every server in every round.
func (b *bench) turns(measure func(server, round int) error) error {
	for round := range b.Rounds {
		for i := range b.targets {
			if err := measure(i, round+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows returns a row for each server.
func (b *bench) rows(work string, like Row) []*Row {
	var rows []*Row
	for _, t := range b.targets {
		row := like
		row.Work, row.Server = work, t.name
		rows = append(rows, &row)
	}
	return rows
}

// rowOf returns the row of a server, or nil.
func (b *bench) rowOf(rows []*Row, server int) *Row {
	for _, r := range rows {
		if r.Server == b.targets[server].name {
			return r
		}
	}
	return nil
}

// abbreviate writes a number as people say it: 10k, 1.5M.
func abbreviate(n int64) string {
	for _, u := range []struct {
		n    int64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.n {
			return strconv.FormatFloat(float64(n)/float64(u.n), 'g', 4, 64) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
