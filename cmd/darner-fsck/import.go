package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/tools/exchange"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "appends what export wrote, or the queues of a Kestrel, while no server runs",
		ArgsUsage: "DATA QUEUE [FILE], or: --format kestrel DATA DIRECTORY",
		Description: "Without a FILE it reads standard input. It makes a missing data directory\n" +
			"or queue. Items get new sequence numbers. The import ends at a line that cannot be\n" +
			"read; items before it stay. Stop a Kestrel first. Only the journals in its\n" +
			"DIRECTORY are needed, and nothing there is changed. Items that were open come\n" +
			"back. Each of its queues is imported whole or not at all. A queue that exists\n" +
			"here already is skipped, unless --append is given.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: formatJSON, Usage: "jsonl, raw or kestrel"},
			&cli.BoolFlag{
				Name:  "append",
				Usage: "with kestrel: append to queues that exist",
			},
		},
		Action: func(c *cli.Context) error {
			switch c.String("format") {
			case formatJSON, formatRaw:
				return importQueue(c)
			case formatKestrel:
				return importKestrel(c)
			}
			return usage{fmt.Errorf("--format %s: give jsonl, raw or kestrel", c.String("format"))}
		},
	}
}

// importer imports into the directory of a queue. The data directory must be locked.
func importer(d *datadir.Dir, path string) *exchange.Importer {
	return exchange.NewImporter(path, wal.Options{
		FS:         files,
		Guarded:    true,
		Quarantine: filepath.Join(d.Path, datadir.QuarantineName),
		Logger:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}

func importQueue(c *cli.Context) (err error) {
	if c.NArg() != 2 && c.NArg() != 3 {
		return wrongUse(c)
	}
	in, name := os.Stdin, c.Args().Get(1)
	if c.NArg() == 3 {
		if in, err = os.Open(c.Args().Get(2)); err != nil {
			return err
		}
		defer in.Close()
	}
	d, lock, err := makeData(c.Args().Get(0))
	if err != nil {
		return err
	}
	defer lock.Close()
	q, err := d.New(name)
	if err != nil {
		return err
	}
	im := importer(d, q.Path)
	spool := exchange.NewSpool(files, filepath.Join(d.Path, ".import"))
	defer spool.Close()
	var from exchange.Decoder
	if c.String("format") == formatRaw {
		from = exchange.NewRawDecoder(in)
	} else {
		from = exchange.NewJSONDecoder(in, spool)
	}
	err = im.AddAll(from)
	if e := im.Close(); e != nil {
		return errors.Join(err, e)
	}
	fmt.Fprintf(os.Stderr, "%s, %s of payload: now in %s\n",
		count(im.Items, "more item"), count(im.Bytes, "byte"), name)
	return err
}
