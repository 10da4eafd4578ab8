package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
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
		Flags: []cli.Flag{serverFlag()},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return errors.New("from which server? (see darner drain -h)")
			}
			ctx, release := interruptible(c.Context, os.Interrupt, syscall.SIGTERM)
			defer release()
			return drainInto(ctx, c.String("server"), c.Args().First(), c.Args().Tail())
		},
	}
}

func drainInto(ctx context.Context, target, source string, queues []string) error {
	target, source = address(target), address(source)
	if drain.Same(ctx, source, target) {
		return fmt.Errorf("%s and %s are one server: give the one to move items to with --server",
			source, target)
	}
	from, err := client.Dial(ctx, source)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := client.Dial(ctx, target)
	if err != nil {
		return err
	}
	defer to.Close()
	var empty []string // queues that were named
	o := drain.Options{Queues: queues, Done: func(m drain.Moved) {
		if m.Items == 0 && len(queues) > 0 {
			empty = append(empty, m.Queue)
			return
		}
		fmt.Printf("%s: %d items, %d bytes\n", m.Queue, m.Items, m.Bytes)
	}}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		o.Progress = showMoved()
	}
	if err := drain.Run(ctx, from, to, o); err != nil {
		return err
	}
	for _, q := range empty {
		fmt.Printf("%s: nothing to move: the source has no such queue, or it is empty\n", q)
	}
	left, err := drain.Rest(from, queues)
	for _, l := range left {
		fmt.Printf("%s: not moved: %d items that came meanwhile, %d that other clients have open\n",
			l.Queue, l.Items, l.Open)
	}
	return err
}

// address turns the name of an existing socket, like db.sock, into a path.
func address(a string) string {
	info, err := os.Stat(a)
	if err == nil && info.Mode()&os.ModeSocket != 0 && !strings.Contains(a, "/") {
		return "./" + a
	}
	return a
}

// showMoved shows the progress of a queue, a few times a second.
func showMoved() func(drain.Moved) {
	var shown time.Time
	return func(m drain.Moved) {
		if time.Since(shown) > 200*time.Millisecond {
			shown = time.Now()
			fmt.Fprintf(os.Stderr, "\r%s: %d items...\033[K\r", m.Queue, m.Items)
		}
	}
}
