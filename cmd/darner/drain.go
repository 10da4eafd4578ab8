package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/darner/darner/tools/client"
	"github.com/darner/darner/tools/drain"
)

func drainCommand() *cli.Command {
	return &cli.Command{
		Name:      "drain",
		Usage:     "move all items of another queue server into this one",
		ArgsUsage: "FROM-HOST:PORT [QUEUE...]",
		Description: `The other server may be a Darner, a Kestrel or a Siberite, and may go on
working. Its queues are drained until they are empty: all of them, or the ones that
are named. An item is confirmed there after it is stored here. So if anything breaks,
the item is in one of the two, at worst in both. Its time and its expiry are lost,
because the protocol does not have them.`,
		Flags: []cli.Flag{
			serverFlag(),
			&cli.IntFlag{
				Name: "prefetch", Value: client.DefaultPrefetch,
				Usage: "how many items to have open at a time, 1024 at most",
			},
		},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return usage("from which server? (see darner drain -h)")
			}
			if c.Int("prefetch") < 1 {
				return usage("--prefetch is at least 1")
			}
			for _, queue := range c.Args().Tail() {
				if err := client.CheckName(queue); err != nil {
					return usage("%w", err)
				}
			}
			ctx, release := interruptible(c.Context)
			defer release()
			return drainInto(ctx, address(c), client.Address(c.Args().First()), drain.Options{
				Queues: c.Args().Tail(), Prefetch: c.Int("prefetch"), Note: say,
			})
		},
	}
}

func drainInto(ctx context.Context, target, source string, o drain.Options) error {
	if drain.Same(ctx, source, target) {
		return usage("%s and %s are one server: give the one to move items to with --server",
			source, target)
	}
	var empty []string // queues that were named
	o.Done = func(m drain.Moved) {
		if m.Items == 0 && len(o.Queues) > 0 {
			empty = append(empty, m.Queue)
			return
		}
		fmt.Printf("%s: %s, %s\n", m.Queue, client.Count(m.Items, "item"),
			client.Count(m.Bytes, "byte"))
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		show := showMoved()
		o.Progress = func(m drain.Moved) { show(m.Queue, m.Items) }
	}
	if err := drain.Run(ctx, source, target, o); err != nil {
		return err
	}
	for _, q := range empty {
		fmt.Printf("%s: nothing to move: the source has no such queue, or it is empty\n", q)
	}
	left, err := drain.Rest(ctx, source, o.Queues)
	for _, l := range left {
		fmt.Printf("%s: not moved: %s that came meanwhile, %d that other clients have open\n",
			l.Queue, client.Count(l.Items, "item"), l.Open)
	}
	if err != nil {
		err = fmt.Errorf("source: all there was is moved; what came meanwhile is not known: %w", err)
	}
	return err
}

// showMoved shows how many items of a queue were moved, a few times a second.
func showMoved() func(queue string, items int64) {
	var shown time.Time
	return func(queue string, items int64) {
		if time.Since(shown) > 200*time.Millisecond {
			shown = time.Now()
			fmt.Fprintf(os.Stderr, "\r%s: %d items...\033[K\r", queue, items)
		}
	}
}
