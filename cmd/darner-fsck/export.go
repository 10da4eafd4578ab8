package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/tools/exchange"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/wal/datadir"
)

// Formats of export and import.
const (
	formatJSON    = "jsonl"
	formatRaw     = "raw"
	formatKestrel = "kestrel"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "writes the items in a queue to standard output, for import",
		ArgsUsage: "DATA QUEUE",
		Description: "jsonl is a line of JSON for each item, with everything known about it.\n" +
			"raw is the payload alone, after its length in 8 bytes, little-endian. The queue\n" +
			"stays as it is. Items that cannot be read are left out and reported; then the exit\n" +
			"code is 4.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: formatJSON, Usage: "jsonl or raw"},
		},
		Action: func(c *cli.Context) error {
			encode := map[string]func(io.Writer) exchange.Encoder{
				formatJSON: exchange.NewJSONEncoder, formatRaw: exchange.NewRawEncoder,
			}[c.String("format")]
			if encode == nil {
				return usage{fmt.Errorf("--format %s: give jsonl or raw", c.String("format"))}
			}
			return readQueue(c, func(q datadir.Queue) error { return export(q, encode(os.Stdout)) })
		},
	}
}

func export(q datadir.Queue, to exchange.Encoder) error {
	r, err := items.Read(files, q, time.Now())
	if err != nil {
		return err
	}
	warn(r)
	done, err := exchange.Export(r, to, func(rec *items.Record, err error) {
		fmt.Fprintf(os.Stderr, "darner-fsck: left out, because it cannot be read: %s\n",
			rec.Where(err))
	})
	if err != nil {
		return fmt.Errorf("after %s: %w", count(done.Items, "item"), err)
	}
	fmt.Fprintf(os.Stderr, "%s, %s of payload\n",
		count(done.Items, "item"), count(done.Bytes, "byte"))
	if done.Damaged > 0 {
		return exit(fsck.ExitLeft)
	}
	return nil
}
