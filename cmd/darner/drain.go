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
		Description: "The other may be a Darner, a Kestrel or a Siberite, and go on working: it is drained until its\n" +
			"queues are empty, all of them unless some are named. An item is confirmed there when it is\n" +
			"stored here, so whatever breaks it is in one of the two, at worst in both. Its time and\n" +
			"its expiry stay behind: the protocol does not tell them.",
		Flags: []cli.Flag{serverFlag()},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return errors.New("from which server? (darner drain -h tells more)")
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
		return fmt.Errorf("%s and %s are one server: name the one to move the items into with --server", source, target)
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
	var empty []string // of those named
	o := drain.Options{Queues: queues, Done: func(m drain.Moved) {
		if m.Items == 0 && len(queues) > 0 {
			empty = append(empty, m.Queue)
			return
		}
		fmt.Printf("%s: %d items, %d bytes\n", m.Queue, m.Items, m.Bytes)
	}}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		o.Progress = ticker()
	}
	if err := drain.Run(ctx, from, to, o); err != nil {
		return err
	}
	for _, q := range empty {
		fmt.Printf("%s: nothing to move: the source has no such queue, or it is empty\n", q)
	}
	left, err := drain.Rest(from, queues)
	for _, l := range left {
		fmt.Printf("%s: left behind are %d items that came meanwhile and %d that other clients have open\n", l.Queue, l.Items, l.Open)
	}
	return err
}

// address makes the name of a socket that is there, like db.sock, the path that it is.
func address(a string) string {
	if info, err := os.Stat(a); err == nil && info.Mode()&os.ModeSocket != 0 && !strings.Contains(a, "/") {
		return "./" + a
	}
	return a
}

// ticker shows how far a queue is, a few times a second.
func ticker() func(drain.Moved) {
	var shown time.Time
	return func(m drain.Moved) {
		if time.Since(shown) > 200*time.Millisecond {
			shown = time.Now()
			fmt.Fprintf(os.Stderr, "\r%s: %d items...\033[K\r", m.Queue, m.Items)
		}
	}
}
