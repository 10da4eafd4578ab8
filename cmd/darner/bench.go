package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/server/config"
	"github.com/darner/darner/tools/bench"
)

func benchCommand() *cli.Command {
	size, large := config.Size(64), config.Size(8<<20)
	sizes := sizeList{
		16, 64, 256, config.KiB, 4 * config.KiB, 16 * config.KiB, 64 * config.KiB, 256 * config.KiB,
		config.MiB,
	}
	each := duration(2 * time.Second)
	return &cli.Command{
		Name:      "bench",
		Usage:     "measure how fast a server is",
		ArgsUsage: "flood|packing|sizes|fairness|memory|latency|all...",
		Description: `flood     requests/s: sets and gets in turn, then sets alone, then gets alone
packing   requests/s with more and more items in the queue
sizes     requests/s and MB/s with larger and larger items
fairness  latency at a low rate, alone and while others move large items in and out
memory    of a server on this machine, with more and more items in the queue
latency   at a fixed rate whatever the server does, from when a request was due

The servers to compare with may be Darner, memcached, Redis and beanstalkd. They take
turns with this one. In Redis, a get is an RPOP of a list. In beanstalkd, it is two
requests, reserve and delete. In memcached, the queue is a key that keeps its last
value, and a get takes nothing. The column "darner is" says how many times better the
first server is: in requests/s, or else in memory or the 99th percentile. Every answer
is checked; the first wrong one ends the run.`,
		Flags: []cli.Flag{
			serverFlag(),
			&cli.StringSliceFlag{
				Name: "compare",
				Usage: "`[PROTOCOL://]HOST:PORT` of another server, as in " +
					"redis://127.0.0.1:6379; memcache, redis or beanstalkd; may be repeated",
			},
			&cli.StringFlag{
				Name: "queue", Aliases: []string{"q"}, Value: "darner-bench",
				Usage: "`NAME` of the queue; it must be empty; it and NAME-large are deleted in " +
					"the end",
			},
			&cli.GenericFlag{
				Name: "duration", Value: &each,
				Usage: "how `LONG` each measurement takes",
			},
			&cli.IntFlag{
				Name: "rounds", Value: 3,
				Usage: "every server runs everything `N` times; rates are medians",
			},
			&cli.IntSliceFlag{
				Name: "connections", DefaultText: "1,10,100; 10",
				Usage: "`LIST` of numbers of connections; suites other than flood use the first",
			},
			&cli.IntSliceFlag{
				Name: "depth", DefaultText: "1,32; 32, sizes and fairness 1",
				Usage: "`LIST` of numbers of requests in flight on each; suites other than " +
					"flood use the first",
			},
			&cli.GenericFlag{
				Name: "size", Value: &size,
				Usage: "`SIZE` of an item, in suites other than sizes",
			},
			&cli.GenericFlag{
				Name: "sizes", Value: &sizes,
				Usage: "`LIST` of sizes of an item, in sizes",
			},
			&cli.StringFlag{
				Name:  "payload",
				Usage: "`FILE` whose bytes are the items' content, repeated; default: random bytes",
			},
			&cli.Int64SliceFlag{
				Name: "backlog", Value: cli.NewInt64Slice(0, 1000, 10_000, 100_000, 1_000_000),
				Usage: "`LIST` of numbers of items in the queue, in packing and memory",
			},
			&cli.Float64SliceFlag{
				Name: "rate", Value: cli.NewFloat64Slice(1000, 10_000),
				Usage: "`LIST` of requests/s in latency; fairness uses the first",
			},
			&cli.GenericFlag{
				Name: "large", Value: &large,
				Usage: "`SIZE` of a large item in fairness",
			},
			&cli.IntFlag{
				Name: "streams", Value: 10,
				Usage: "`N` connections that move large items in fairness",
			},
			&cli.StringFlag{
				Name:  "json",
				Usage: "`FILE` for all figures; - writes them in place of the tables",
			},
			&cli.StringFlag{Name: "plot", Usage: "`DIRECTORY` for an SVG of each suite"},
		},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return usage("which suite: %s, all? (see darner bench -h)",
					strings.Join(bench.Suites(), ", "))
			}
			suites := c.Args().Slice()
			for _, s := range suites {
				if s != "all" && !slices.Contains(bench.Suites(), s) {
					return usage("there is no suite %q: choose from %s", s,
						strings.Join(bench.Suites(), ", "))
				}
			}
			if slices.Contains(suites, "all") {
				suites = bench.Suites()
			}
			ctx, release := interruptible(c.Context)
			defer release()
			return runBench(ctx, c, suites, bench.Options{
				Server: address(c), Compare: c.StringSlice("compare"),
				Queue: c.String("queue"), Size: int(size), Payload: c.String("payload"),
				Duration: time.Duration(each), Rounds: c.Int("rounds"),
				Connections: c.IntSlice("connections"), Depth: c.IntSlice("depth"),
				Backlog: c.Int64Slice("backlog"), Sizes: sizes, Rate: c.Float64Slice("rate"),
				Large: int(large), Streams: c.Int("streams"), Out: os.Stdout,
			})
		},
	}
}

// sizeList is the value of a flag: sizes separated by commas.
type sizeList []int

func (l *sizeList) String() string {
	texts := make([]string, len(*l))
	for i, s := range *l {
		texts[i] = config.Size(s).String()
	}
	return strings.Join(texts, ",")
}

func (l *sizeList) Set(text string) error {
	*l = nil
	for one := range strings.SplitSeq(text, ",") {
		size, err := config.ParseSize(one)
		if err != nil {
			return err
		}
		*l = append(*l, int(size))
	}
	return nil
}

// runBench runs suites and writes the figures, even if something ends it early.
func runBench(ctx context.Context, c *cli.Context, suites []string, o bench.Options) error {
	if c.String("json") == "-" {
		o.Out = io.Discard
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		o.Progress = func(text string) { fmt.Fprintf(os.Stderr, "\r%s\033[K\r", text) }
	}
	report, err := bench.Run(ctx, suites, o)
	if ctx.Err() != nil && err != nil {
		err = cmdline.Exit(cmdline.ExitInterrupted, fmt.Errorf("interrupted: %w", err))
	}
	if report == nil {
		return err
	}
	if file := c.String("json"); file != "" {
		err = errors.Join(err, writeJSON(file, report))
	}
	if dir := c.String("plot"); dir != "" {
		err = errors.Join(err, report.Plot(dir))
	}
	return err
}

func writeJSON(file string, report *bench.Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if text = append(text, '\n'); file == "-" {
		_, err = os.Stdout.Write(text)
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
