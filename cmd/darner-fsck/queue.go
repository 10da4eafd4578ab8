package main

// What commands for a single queue share.

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/tools/fsck"
	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/wal/datadir"
)

func usageError(_ *cli.Context, err error, _ bool) error { return usage{err} }

// wrongUse is the error for a wrong number of arguments.
func wrongUse(c *cli.Context) error {
	return usage{fmt.Errorf("usage: darner-fsck %s [options] %s (see -h)",
		c.Command.Name, c.Command.ArgsUsage)}
}

// readQueue finds the queue that the arguments name, for a command that only reads. It locks the
// data directory. Where that is not possible it reads as if no server were running.
func readQueue(c *cli.Context, do func(datadir.Queue) error) error {
	return withQueue(c, func(d *datadir.Dir) (io.Closer, error) {
		lock, unlocked, err := d.LockForReading()
		if unlocked != nil {
			fmt.Fprintln(os.Stderr,
				"darner-fsck: reading without a lock, as if no server were running:", unlocked)
		}
		return lock, err
	}, do)
}

func changeQueue(c *cli.Context, do func(datadir.Queue) error) error {
	return withQueue(c, (*datadir.Dir).Lock, do)
}

func withQueue(
	c *cli.Context, lock func(*datadir.Dir) (io.Closer, error), do func(datadir.Queue) error,
) error {
	if c.NArg() != 2 {
		return wrongUse(c)
	}
	d, err := datadir.Open(files, c.Args().Get(0), fsck.IsLogFile)
	if err != nil {
		return err
	}
	q, err := d.Find(c.Args().Get(1))
	if err != nil {
		return err
	}
	held, err := lock(d)
	if err != nil {
		return err
	}
	defer held.Close()
	open, err := d.LockQueue(q)
	if err != nil {
		return err
	}
	defer open.Close()
	return do(q)
}

// warn reports an offset file that cannot be read.
func warn(r *items.Reading) {
	if r.Warning != nil {
		fmt.Fprintln(os.Stderr,
			"darner-fsck: nothing counts as taken: the offset file cannot be read:", r.Warning)
	}
}

// count puts a number of things into words.
func count(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
