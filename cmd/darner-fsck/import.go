package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/tools/exchange"
	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/tools/fsck/datadir"
	"github.com/darner/darner/tools/kestrel"
	"github.com/darner/darner/wal"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "appends what export wrote, or all queues of a Kestrel, while no server runs",
		ArgsUsage: "DATA QUEUE [FILE], or: --format kestrel DATA DIRECTORY",
		Description: "Without a FILE it reads standard input. A data directory and queues that are not there are\n" +
			"made. Items get new sequence numbers. At a line that cannot be read the import ends, and\n" +
			"what came before it stays. Of a Kestrel, which must have been stopped, only the journals\n" +
			"in its DIRECTORY are needed; nothing in it is changed. Items that were open come back.",
		OnUsageError: usageError,
		Flags:        []cli.Flag{&cli.StringFlag{Name: "format", Value: formatJSON, Usage: "jsonl, raw or kestrel"}},
		Action: func(c *cli.Context) error {
			switch c.String("format") {
			case formatJSON, formatRaw:
				return importQueue(c)
			case formatKestrel:
				return importKestrel(c)
			}
			return usage{fmt.Errorf("--format %s: an import is jsonl, raw or kestrel", c.String("format"))}
		},
	}
}

// importer imports into a queue of a data directory that is locked.
func importer(d *datadir.Dir, name string) (*exchange.Importer, error) {
	q, err := d.New(name)
	if err != nil {
		return nil, err
	}
	return exchange.NewImporter(q.Path, wal.Options{
		Quarantine: filepath.Join(d.Path, ".quarantine"),
		Logger:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}), nil
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
	d, lock, err := datadir.Make(disk.OS{}, c.Args().Get(0))
	if err != nil {
		return err
	}
	defer lock.Close()
	im, err := importer(d, name)
	if err != nil {
		return err
	}
	spool := exchange.NewSpool(disk.OS{}, filepath.Join(d.Path, ".import"))
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
	fmt.Fprintf(os.Stderr, "%s, %s of payload, are now in %s\n", count(im.Items, "more item"), count(im.Bytes, "byte"), name)
	return err
}

func importKestrel(c *cli.Context) error {
	if c.NArg() != 2 {
		return wrongUse(c)
	}
	from := c.Args().Get(1)
	queues, foreign, err := kestrel.Queues(disk.OS{}, from)
	if err != nil {
		return err
	}
	for _, f := range foreign {
		fmt.Fprintf(os.Stderr, "darner-fsck: %s is no journal and left out\n", filepath.Join(from, f))
	}
	if len(queues) == 0 {
		return fmt.Errorf("%s holds no journals of a Kestrel", from)
	}
	d, lock, err := datadir.Make(disk.OS{}, c.Args().Get(0))
	if err != nil {
		return err
	}
	defer lock.Close()
	damaged := false
	for _, q := range queues {
		held, err := importKestrelQueue(d, from, q)
		if err != nil {
			return fmt.Errorf("queue %s: %w", q.Name, err)
		}
		for _, f := range held.Findings {
			fmt.Fprintln(os.Stderr, "darner-fsck:", f)
			damaged = damaged || !f.Torn
		}
	}
	if damaged {
		return exit(fsck.ExitLeft)
	}
	return nil
}

func importKestrelQueue(d *datadir.Dir, from string, q kestrel.Queue) (*kestrel.Contents, error) {
	im, err := importer(d, q.Name)
	if err != nil {
		return nil, err
	}
	held, err := im.FromKestrel(disk.OS{}, from, q)
	err = errors.Join(err, im.Close())
	open := ""
	if held != nil && held.Open > 0 {
		open = fmt.Sprintf(", %d of them were open", held.Open)
	}
	fmt.Fprintf(os.Stdout, "%s: %s, %s of payload%s\n", q.Name, count(im.Items, "item"), count(im.Bytes, "byte"), open)
	return held, err
}
