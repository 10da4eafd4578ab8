package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/tools/client"
	"github.com/darner/darner/tools/names"
	"github.com/darner/darner/tools/requeue"
)

func requeueCommand() *cli.Command {
	return &cli.Command{
		Name:      "requeue",
		Usage:     "put dead letters, and expired items that were moved, back where they came from",
		ArgsUsage: "QUEUE",
		Description: `Each item goes to the end of the queue that it came from, and never expires there
by itself. It is confirmed in QUEUE after it is on stable storage there. So if anything
breaks, the item is in one of the two, at worst in both. It ends when the items are
moved that QUEUE had at the start. Other clients may go on working.`,
		Flags: []cli.Flag{
			serverFlag(),
			&cli.StringFlag{
				Name:  "to",
				Usage: "put them into this `QUEUE`, also those that do not say where they came from",
			},
			&cli.Int64Flag{
				Name: "limit", Usage: "how many items to move at most", DefaultText: "all",
			},
		},
		Action: func(c *cli.Context) error {
			queue, err := queueArg(c)
			if err != nil {
				return err
			}
			o := requeue.Options{To: c.String("to"), Limit: c.Int64("limit")}
			switch {
			case c.NArg() > 1:
				return usage("one queue at a time, not %d", c.NArg())
			case c.IsSet("limit") && o.Limit < 1:
				return usage("--limit is at least 1")
			case o.To == queue:
				return usage("%s is the queue to take them from: give another one with --to", queue)
			}
			if c.IsSet("to") {
				if err := client.CheckName(o.To); err != nil {
					return usage("--to: %w", err)
				}
			}
			return runRequeue(c, queue, o)
		},
	}
}

func runRequeue(c *cli.Context, queue string, o requeue.Options) error {
	name := names.Printable(queue)
	if term.IsTerminal(int(os.Stderr.Fd())) {
		show := showMoved()
		o.Progress = func(n int64) { show(name, n) }
	}
	ctx, release := interruptible(c.Context)
	defer release()
	r, err := requeue.Run(ctx, address(c), queue, o)
	for _, m := range r.Moved {
		fmt.Printf("%s: %s, %s\n", names.Printable(m.Queue), client.Count(m.Items, "item"),
			client.Count(m.Bytes, "byte"))
	}
	if r.Stay > 0 {
		fmt.Printf("%s: not moved: %s without an origin, the first is number %d; see --to\n", name,
			client.Count(r.Stay, "item"), r.First)
	}
	if r.Rest+r.Open > 0 {
		fmt.Printf("%s: not moved: %s beyond the limit or that came meanwhile, %d that other "+
			"clients have open\n", name, client.Count(r.Rest, "item"), r.Open)
	}
	switch {
	case errors.Is(err, requeue.ErrSettings):
		return usage("%w", err)
	case err == nil && r.Items() == 0:
		return cmdline.Exit(cmdline.ExitEmpty, fmt.Errorf("nothing to move in %s", name))
	}
	return err
}
