package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

func rewindCommand() *cli.Command {
	return &cli.Command{
		Name:      "rewind",
		Usage:     "puts items that were taken and are still on disk back into their queue",
		ArgsUsage: "DATA QUEUE",
		Description: "It says how many, and asks before it changes anything. A POINT is a\n" +
			"sequence number, a time as in 2026-01-31T15:04:05, 90m for 90 minutes ago, or\n" +
			"oldest: all items taken from there on come back. How far that reaches depends on\n" +
			"what has been deleted: dump --state taken shows it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the first item to come back, by its `POINT`"},
			&cli.BoolFlag{
				Name:  "undo",
				Usage: "take again what all rewinds since the last undo put back",
			},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		},
		Action: func(c *cli.Context) error {
			if c.IsSet("to") == c.Bool("undo") {
				return usage{errors.New("give either --to POINT or --undo")}
			}
			to, err := point(c, "to")
			if err != nil {
				return usage{err}
			}
			return changeQueue(c, func(q datadir.Queue) error {
				plan := func() (*inspect.Rewind, error) {
					if c.Bool("undo") {
						return items.PlanUndo(files, q, time.Now())
					}
					return items.PlanRewind(files, q, to, time.Now())
				}
				return rewind(q, plan, c.Bool("yes"))
			})
		},
	}
}

func rewind(q datadir.Queue, plan func() (*inspect.Rewind, error), yes bool) error {
	r, err := plan()
	if errors.Is(err, inspect.ErrNoOffsets) {
		return fmt.Errorf("%w: a server would deliver everything on disk again "+
			"(--repair may save what the file says)", err)
	}
	if err != nil {
		return err
	}
	describe(q, r)
	if r.Items == 0 && !r.Undo {
		return nil
	}
	if !yes {
		if yes, err = ask(); err != nil {
			return err
		}
	}
	if !yes {
		fmt.Println("Nothing was changed.")
		return nil
	}
	if err := r.Do(); err != nil {
		return err
	}
	fmt.Println("Done.")
	return nil
}

// describe says what is about to happen.
func describe(q datadir.Queue, r *inspect.Rewind) {
	end := "back in the queue"
	if r.Undo {
		end = "taken again"
	}
	fmt.Printf("%s: %s, %s of payload", q.Name, count(r.Items, "item"), count(r.Bytes, "byte"))
	if r.Items > 0 {
		fmt.Printf(", numbers %d to %d,", r.First, r.Last)
	}
	fmt.Printf(" will be %s.\n", end)
	if r.Expired > 0 {
		fmt.Printf("Expired, and not to be delivered: %d of them.\n", r.Expired)
	}
	if r.Bodiless > 0 {
		fmt.Printf("Large items that cannot come back, because their bodies were deleted: %d.\n",
			r.Bodiless)
	}
}

// ask reads yes or no from a terminal.
func ask() (yes bool, err error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return false, usage{errors.New("nothing was changed: " +
			"there is no terminal to ask on, and --yes was not given")}
	}
	fmt.Print("Go on? [y/N] ")
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", err
}
