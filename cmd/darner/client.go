package main

// The client subcommands.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/darner/darner/tools/client"
)

func serverFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "server", Aliases: []string{"s"}, Value: client.DefaultAddress,
		Usage: "`HOST:PORT` of the server, or the path of its Unix socket",
	}
}

// duration is the value of a flag, whose error says what to give.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

func (d *duration) Set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("give a number with a unit, as in 5s or 500ms")
	}
	*d = duration(v)
	return nil
}

func putCommand() *cli.Command {
	return &cli.Command{
		Name:      "put",
		Usage:     "append files, or standard input, to a queue, one item each",
		ArgsUsage: "QUEUE [FILE...]",
		Flags: []cli.Flag{
			serverFlag(),
			&cli.BoolFlag{Name: "lines", Usage: "one item for each line"},
		},
		Action: func(c *cli.Context) error {
			return withClient(c, func(to *client.Client, queue string) error {
				files, lines := c.Args().Tail(), c.Bool("lines")
				switch {
				case len(files) > 0:
					return to.PutFiles(queue, files, lines)
				case lines:
					return to.PutLines(queue, os.Stdin)
				}
				return to.Put(queue, os.Stdin)
			})
		},
	}
}

func getCommand() *cli.Command {
	return &cli.Command{
		Name:  "get",
		Usage: "take items off a queue and write them to standard output",
		Description: "An item is confirmed after it is written. If anything fails before that,\n" +
			"the item returns to its place. The exit code is 1 if the queue is empty.",
		ArgsUsage: "QUEUE",
		Flags: []cli.Flag{
			serverFlag(),
			&cli.GenericFlag{
				Name: "wait", Value: new(duration), DefaultText: "0s",
				Usage: "how `LONG` to wait for each item, as in 10s",
			},
			&cli.IntFlag{
				Name: "count", Aliases: []string{"n"}, Value: 1,
				Usage: "how many items to take at most; 0: all",
			},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on until interrupted"},
			&cli.BoolFlag{
				Name:  "lines",
				Usage: "write a line feed after each item; always on a terminal",
			},
		},
		Action: func(c *cli.Context) error {
			o := client.TakeOptions{
				Wait:   time.Duration(*c.Generic("wait").(*duration)),
				Count:  c.Int("count"),
				Follow: c.Bool("follow"),
				Lines:  c.Bool("lines") || term.IsTerminal(int(os.Stdout.Fd())),
			}
			if o.Wait < 0 || o.Count < 0 {
				return errors.New("--wait and --count cannot be negative")
			}
			if c.NArg() > 1 {
				return fmt.Errorf("one queue at a time, not %d", c.NArg())
			}
			return withClient(c, func(from *client.Client, queue string) error {
				return take(c.Context, from, queue, o)
			})
		},
	}
}

// take takes items. An interrupt ends it between two items.
func take(ctx context.Context, from *client.Client, queue string, o client.TakeOptions) error {
	ctx, release := interruptible(ctx, os.Interrupt)
	defer release()
	n, err := from.Take(ctx, queue, os.Stdout, o)
	if err == nil && n == 0 && !o.Follow && o.Count != 0 {
		err = fmt.Errorf("no item in %s", queue)
	}
	return err
}

func statsCommand() *cli.Command {
	return &cli.Command{
		Name:      "stats",
		Usage:     "show the figures of the server and its queues, or of one queue",
		ArgsUsage: "[QUEUE]",
		Flags:     []cli.Flag{serverFlag()},
		Action: func(c *cli.Context) error {
			return dial(c, func(from *client.Client) error {
				s, err := from.Stats()
				if err != nil {
					return err
				}
				return s.Write(os.Stdout, c.Args().First())
			})
		},
	}
}

// withClient connects for a command whose first argument is a queue.
func withClient(c *cli.Context, do func(*client.Client, string) error) error {
	if !c.Args().Present() {
		return fmt.Errorf("which queue? (see darner %s -h)", c.Command.Name)
	}
	return dial(c, func(to *client.Client) error { return do(to, c.Args().First()) })
}

func dial(c *cli.Context, do func(*client.Client) error) error {
	to, err := client.Dial(c.Context, c.String("server"))
	if err != nil {
		return err
	}
	defer to.Close()
	return do(to)
}
