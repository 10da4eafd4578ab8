package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/cmd/internal/cmdline"
	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/wal/datadir"
)

func dumpCommand() *cli.Command {
	return &cli.Command{
		Name:      "dump",
		Usage:     "lists the items of a queue that are on disk, taken or not",
		ArgsUsage: "DATA QUEUE",
		Description: "A line for each: sequence number, when it was set, when it expires,\n" +
			"flags, size, state, payload. A POINT is a sequence number, a time as in\n" +
			"2026-01-31T15:04:05, or 90m for 90 minutes ago.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "the first item, by its `POINT`"},
			&cli.StringFlag{Name: "to", Usage: "the last item, by its `POINT`"},
			&cli.StringFlag{
				Name: "state",
				Usage: "only items in these `STATES`, separated by commas: live, taken, " +
					"expired, damaged",
			},
			&cli.IntFlag{Name: "limit", Usage: "the number of lines, at most"},
			&cli.StringFlag{
				Name: "as", Value: string(items.AsText),
				Usage: "payloads as text, hex or base64",
			},
			&cli.BoolFlag{
				Name: "full",
				Usage: "whole payloads and all columns, as in a pipe, however wide the " +
					"terminal is",
			},
		},
		Action: func(c *cli.Context) error {
			o, err := dumpOptions(c)
			if err != nil {
				return usage{err}
			}
			return readQueue(c, func(q datadir.Queue) error {
				r, err := items.Read(files, q, time.Now())
				if err != nil {
					return err
				}
				warn(r)
				return r.Dump(os.Stdout, o)
			})
		},
	}
}

func dumpOptions(c *cli.Context) (o items.DumpOptions, err error) {
	if !c.Bool("full") {
		o.Width = cmdline.WidthOf(os.Stdout)
	}
	if o.From, err = point(c, "from"); err != nil {
		return o, err
	}
	if c.IsSet("to") {
		to, err := point(c, "to")
		if err != nil {
			return o, err
		}
		o.To = &to
	}
	if o.Limit = c.Int("limit"); o.Limit < 0 || o.Limit == 0 && c.IsSet("limit") {
		return o, errors.New("--limit has to be 1 or more")
	}
	switch o.As = items.PayloadAs(c.String("as")); o.As {
	case items.AsText, items.AsHex, items.AsBase64:
	default:
		return o, fmt.Errorf("--as %s: payloads are written as text, hex or base64", o.As)
	}
	for _, s := range strings.FieldsFunc(c.String("state"), func(r rune) bool { return r == ',' }) {
		switch state := items.State(s); state {
		case items.Live, items.Taken, items.Expired, items.Damaged:
			o.States = append(o.States, state)
		default:
			return o, fmt.Errorf("--state %s: the states are live, taken, expired and damaged", s)
		}
	}
	return o, nil
}

// point reads a flag. If it is not set the point is the beginning.
func point(c *cli.Context, flag string) (items.Point, error) {
	if !c.IsSet(flag) {
		return items.Point{}, nil
	}
	p, err := items.ParsePoint(c.String(flag), time.Now())
	if err != nil {
		err = fmt.Errorf("--%s: %w", flag, err)
	}
	return p, err
}
